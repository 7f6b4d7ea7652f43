package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxValue is the limit of all stores of this library, so that an execution can
// move between them.
const maxValue = 16 << 20

// createLock serializes the creation of tables; PostgreSQL lets two concurrent
// CREATE TABLE IF NOT EXISTS fail. It is a random number.
const createLock = 0x676e6b5f7461626c

// Options of Open. The zero value is right for one store in a database.
type Options struct {
	// Table is the table's name, with or without a schema. Empty means
	// "gennaker_records". Stores with different tables are independent.
	Table string
}

// Open creates the table if it does not exist, and asks the server what it
// guarantees. The pool must stay open as long as the store is used.
func Open(ctx context.Context, pool *pgxpool.Pool, o Options) (*Store, error) {
	if pool == nil {
		return nil, errors.New("postgres store: open: the pool is nil")
	}
	if o.Table == "" {
		o.Table = "gennaker_records"
	}
	s := &Store{pool: pool, table: o.Table, sql: newStatements(pgx.Identifier(strings.Split(o.Table, ".")).Sanitize())}
	if err := s.create(ctx); err != nil {
		return nil, fmt.Errorf("postgres store %s: open: %w", o.Table, err)
	}
	var fsync, commit string
	err := pool.QueryRow(ctx, "SELECT current_setting('fsync'), current_setting('synchronous_commit')").Scan(&fsync, &commit)
	if err != nil {
		return nil, fmt.Errorf("postgres store %s: open: %w", o.Table, err)
	}
	s.durable = fsync == "on" && commit != "off"
	return s, nil
}

// create does not ask for the right to create when the table is there.
func (s *Store) create(ctx context.Context) error {
	var there bool
	if err := s.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", s.sql.table).Scan(&there); err != nil || there {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(createLock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, s.sql.create)
		return err
	})
}

// statements are the SQL of one table.
type statements struct {
	table, create, get, insert, update, remove, list string
}

// Keys are compared as bytes, whatever the language of the database.
func newStatements(table string) statements {
	in := func(sql string) string { return strings.ReplaceAll(sql, "TABLE_NAME", table) }
	return statements{
		table: table,
		create: in(`CREATE TABLE IF NOT EXISTS TABLE_NAME (
			key text COLLATE "C" PRIMARY KEY,
			version text COLLATE "C" NOT NULL,
			value bytea NOT NULL,
			checksum bigint NOT NULL
		)`),
		get:    in(`SELECT key, version, value, checksum FROM TABLE_NAME WHERE key = $1`),
		insert: in(`INSERT INTO TABLE_NAME (key, version, value, checksum) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING`),
		update: in(`UPDATE TABLE_NAME SET version = $2, value = $3, checksum = $4 WHERE key = $1 AND version = $5`),
		remove: in(`DELETE FROM TABLE_NAME WHERE key = $1`),
		list: in(`SELECT key, version, value, checksum FROM TABLE_NAME
			WHERE key >= $1 AND key < $2 AND key > $3 ORDER BY key LIMIT $4`),
	}
}
