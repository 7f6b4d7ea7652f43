package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// exportFormat is the format of the files that this program writes and reads.
const exportFormat = 1

// exportFile is an execution as one JSON file.
type exportFile struct {
	Gennaker string          `json:"gennaker"` // exportKind
	Format   int             `json:"format"`
	Sum      string          `json:"sum"` // SHA-256 of plan and record, without insignificant space
	Plan     json.RawMessage `json:"plan"`
	Record   json.RawMessage `json:"record"` // with its blobs in their places
}

const exportKind = "execution"

// maxImportCount leaves room to count on.
const maxImportCount = 1 << 62

// MaxImport is how many bytes a file may have that Import reads.
const MaxImport = 256 << 20

// Export returns an execution as one JSON file, with its frozen plan, its history
// and all its values, whether it runs, has ended or is in the archive. What is
// read is one state of it. Secrets of the pipeline's own types stay out, as they
// stay out of every record.
func (e *Embedded) Export(ctx context.Context, id string) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("execution %q: export: %w", id, err) }
	r, _, _, err := e.fetch(ctx, id)
	if err != nil {
		return fail(err)
	}
	plan, err := e.plan(ctx, r.Plan)
	if err != nil {
		return fail(fmt.Errorf("its plan: %w", err))
	}
	f := exportFile{Gennaker: exportKind, Format: exportFormat, Plan: plan.JSON()}
	if f.Record, err = compact(r.encode(nil)); err != nil {
		return fail(err)
	}
	f.Sum = f.sum()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the sum is of what is written
	if err := enc.Encode(f); err != nil {
		return fail(err)
	}
	return out.Bytes(), nil
}

func (f *exportFile) sum() string {
	h := sha256.New()
	h.Write(f.Plan)
	h.Write([]byte{'\n'})
	h.Write(f.Record)
	return hex.EncodeToString(h.Sum(nil))
}

func compact(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	err := json.Compact(&b, raw)
	return b.Bytes(), err
}

// ImportOptions are the settings of Import.
type ImportOptions struct {
	// Live lets an execution be imported that had not ended when it was exported:
	// this engine goes on with it. The store that it comes from must not be worked
	// on any more, or every effect may happen twice. What it held there, a mutex or a
	// place under a limit, it asks for anew here, and starts nothing before it has it;
	// what was in the middle goes on.
	Live bool
}

// ImportError says why a file was refused. Nothing has been written then.
type ImportError struct {
	Execution string // "" if the file does not even tell
	Problem   string
	Err       error // ErrInvalid, ErrCorrupt, ErrParked or ErrExists
}

func (e *ImportError) Error() string {
	if e.Execution == "" {
		return "import: " + e.Problem
	}
	return fmt.Sprintf("import of execution %q: %s", e.Execution, e.Problem)
}

// Unwrap returns the class of the problem.
func (e *ImportError) Unwrap() error { return e.Err }

// Import stores an execution from a file that Export made, and returns its id.
// The file is checked as a whole before anything is written: its checksum, that
// the plan is the one that the record was made with, and that the record fits it.
//
// Errors: *ImportError, which wraps ErrCorrupt for a damaged file, ErrParked for
// one of a newer program, ErrExists if the id is in use here, and ErrInvalid for
// an execution that has not ended, unless ImportOptions.Live is set; or the
// store's.
func (e *Embedded) Import(ctx context.Context, file []byte, o ImportOptions) (string, error) {
	r, plan, err := e.readImport(file)
	if err != nil {
		return "", err
	}
	if !r.Status.Final() && !o.Live {
		return "", &ImportError{r.ID, fmt.Sprintf("it is %s; end it first, or set ImportOptions.Live if no other engine works on it", r.Status), ErrInvalid}
	}
	inUse := &ImportError{r.ID, "the id is in use in this store", ErrExists}
	if _, err := e.store.Get(ctx, archivePrefix+r.ID); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = inUse
		}
		return "", err
	}
	if err := e.keepPlan(ctx, r.Plan, plan); err != nil {
		return "", fmt.Errorf("import of execution %q: plan: %w", r.ID, err)
	}
	r.Rev++
	r.Epoch++
	r.Owner = ""
	r.queueAgain()
	defer e.beginning(r.ID)()
	switch _, err := e.write(ctx, r, ""); {
	case errors.Is(err, ErrConflict):
		return "", inUse
	case err != nil:
		return "", fmt.Errorf("import of execution %q: %w", r.ID, err)
	}
	if !r.Status.Final() {
		e.adopt(&execution{e: e, id: r.ID})
	}
	return r.ID, nil
}

// readImport checks a file and returns what is in it.
func (e *Embedded) readImport(file []byte) (*record, *Plan, error) {
	bad := func(class error, format string, args ...any) (*record, *Plan, error) {
		return nil, nil, &ImportError{Problem: fmt.Sprintf(format, args...), Err: class}
	}
	if len(file) > MaxImport {
		return bad(ErrInvalid, "the file has %d bytes, at most %d are allowed", len(file), MaxImport)
	}
	var f exportFile
	if err := json.Unmarshal(file, &f); err != nil {
		return bad(ErrCorrupt, "%v", err)
	}
	switch {
	case f.Gennaker != exportKind:
		return bad(ErrInvalid, "it is not a file that Export made")
	case f.Format > exportFormat:
		return bad(ErrParked, "it was made by a newer program: it has format %d, this one reads %d", f.Format, exportFormat)
	case f.Format < 1 || len(f.Plan) == 0 || len(f.Record) == 0:
		return bad(ErrCorrupt, "it has no format, plan or record")
	}
	var err, err2 error
	f.Plan, err = compact(f.Plan)
	f.Record, err2 = compact(f.Record)
	if err != nil || err2 != nil || f.sum() != f.Sum {
		return bad(ErrCorrupt, "it is damaged: its checksum does not match")
	}
	r, err := decodeRecord("import", f.Record)
	if err != nil {
		return bad(errors.Unwrap(err), "%v", err)
	}
	plan, err := importedPlan(&f, r)
	if err != nil {
		return bad(errors.Unwrap(err), "%v", err)
	}
	if problem := e.checkImport(r, plan); problem != "" {
		return nil, nil, &ImportError{r.ID, problem, ErrCorrupt}
	}
	return r, plan, nil
}

// importedPlan reads the file's plan, which must be the record's.
func importedPlan(f *exportFile, r *record) (*Plan, error) {
	p := &Plan{}
	sum := sha256.Sum256(f.Plan)
	if err := json.Unmarshal(f.Plan, p); err != nil || hex.EncodeToString(sum[:]) != r.Plan {
		return nil, fmt.Errorf("its plan is not the one that its record was made with: %w", ErrCorrupt)
	}
	if p.Hash() != r.Plan {
		return nil, fmt.Errorf("its plan was written by a newer program: %w", ErrParked)
	}
	return p, nil
}

// checkImport says why a record cannot be that of an execution, "" if it can.
func (e *Embedded) checkImport(r *record, p *Plan) (problem string) {
	switch {
	case !execIDPattern.MatchString(r.ID):
		return "the execution's id is malformed"
	case r.Pipeline != p.Name || r.Version != p.Version:
		return "its pipeline is not that of its plan"
	case r.Rev > maxImportCount || r.Epoch > maxImportCount || r.Seq > maxImportCount:
		return "its revision, epoch or number of events is too large"
	case slices.ContainsFunc(r.Locks, func(l lockRec) bool { return !strings.HasPrefix(l.Ticket, r.ID+"/") }):
		return "it has the lock of another execution"
	case len(r.Blobs) > 0:
		return "it refers to blobs"
	case checkLabels(r.Labels) != nil:
		return checkLabels(r.Labels).Error()
	}
	if problem := p.check(); problem != "" {
		return problem
	}
	before := len(r.Stages)
	if err := newView(p, bind(p, r.Plan, e.code(r)), r).check(r); err != nil {
		return err.Error()
	}
	if len(r.Stages) != before {
		return "stages of its plan are missing"
	}
	r.payloads(func(at string, raw json.RawMessage) json.RawMessage {
		if len(raw) > MaxPayload {
			problem = fmt.Sprintf("%s is larger than %d bytes", at, MaxPayload)
		}
		return nil
	})
	return problem
}
