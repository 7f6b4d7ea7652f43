package evidence

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/gennaker/gennaker/artifact"
)

// A Key signs evidence with Ed25519. Make one with [NewKey], [ParseKey] or [LoadKey].
type Key struct {
	private ed25519.PrivateKey
	public  PublicKey
}

// NewKey makes a new key for a signer of that name.
func NewKey(name string) (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return newKey(name, private), nil
}

func newKey(name string, private ed25519.PrivateKey) *Key {
	return &Key{private: private, public: newPublicKey(name, private.Public().(ed25519.PublicKey))}
}

const (
	privateBlock = "PRIVATE KEY" // PKCS #8, RFC 5208
	publicBlock  = "PUBLIC KEY"  // SubjectPublicKeyInfo, RFC 5280
	maxKeyFile   = 64 << 10
)

// ParseKey reads a private key in PEM, PKCS #8, as "openssl genpkey -algorithm ed25519" and [Key.PEM] write it. name is what
// rules call the signer. The error never repeats any part of the key.
func ParseKey(name string, data []byte) (*Key, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != privateBlock {
		return nil, fmt.Errorf("key %q: no PEM block %q (PKCS #8, not encrypted)", name, privateBlock)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key %q: not PKCS #8", name)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key %q: it is a %T; want Ed25519", name, parsed)
	}
	return newKey(name, private), nil
}

// LoadKey reads a private key from a file, which must not be readable by others than its owner.
func LoadKey(name, file string) (*Key, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	switch {
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows": // which has no such modes
		return nil, fmt.Errorf("key %q: file %s may be read by others (mode %04o); chmod 600 it", name, file, info.Mode().Perm())
	case info.Size() > maxKeyFile:
		return nil, fmt.Errorf("key %q: file %s has %d bytes; that is no key", name, file, info.Size())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return ParseKey(name, data)
}

// LoadOrCreateKey is LoadKey, and makes the key and its file, with mode 0600, if the file does not exist.
func LoadOrCreateKey(name, file string) (*Key, error) {
	k, err := LoadKey(name, file)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if k, err = NewKey(name); err != nil {
		return nil, err
	}
	tmp := file + "." + rand.Text()
	if err := os.WriteFile(tmp, k.PEM(), 0o600); err != nil {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	// A link fails if the file is there: of two processes that start at once one makes the key and both use it.
	err = os.Link(tmp, file)
	if rerr := os.Remove(tmp); err == nil {
		err = rerr
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("key %q: %w", name, err)
	}
	return LoadKey(name, file)
}

// PEM returns the private key in PEM, PKCS #8. Keep it secret.
func (k *Key) PEM() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		panic(err) // an Ed25519 key can be encoded
	}
	return pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der})
}

// Public returns the public half, which verifies.
func (k *Key) Public() PublicKey { return k.public }

// Sign implements [Signer].
func (k *Key) Sign(_ context.Context, pae []byte) (Signature, error) {
	return Signature{KeyID: k.public.id, Sig: ed25519.Sign(k.private, pae)}, nil
}

// A PublicKey verifies what a [Key] has signed. It is a [Verifier].
type PublicKey struct {
	name string
	id   string
	key  ed25519.PublicKey
}

func newPublicKey(name string, key ed25519.PublicKey) PublicKey {
	p := PublicKey{name: name, key: key}
	p.id = string(artifact.FromBytes(p.der()))
	return p
}

// ParsePublicKey reads a public key in PEM, as "openssl pkey -pubout" and [PublicKey.PEM] write it.
func ParsePublicKey(name string, data []byte) (PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != publicBlock {
		return PublicKey{}, fmt.Errorf("key %q: no PEM block %q", name, publicBlock)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, fmt.Errorf("key %q: %w", name, err)
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, fmt.Errorf("key %q: it is a %T; want Ed25519", name, parsed)
	}
	return newPublicKey(name, key), nil
}

// Name returns the name that the key was given.
func (p PublicKey) Name() string { return p.name }

// ID returns the key's id: the SHA-256 of its SubjectPublicKeyInfo, as "sha256:" and hexadecimal digits.
func (p PublicKey) ID() string { return p.id }

// PEM returns the key in PEM.
func (p PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: p.der()})
}

func (p PublicKey) der() []byte {
	der, err := x509.MarshalPKIXPublicKey(p.key)
	if err != nil {
		panic(err) // an Ed25519 key can be encoded
	}
	return der
}

// Verify implements [Verifier].
func (p PublicKey) Verify(_ context.Context, pae []byte, s Signature) (Identity, error) {
	switch {
	case len(p.key) == ed25519.PublicKeySize && ed25519.Verify(p.key, pae, s.Sig):
		return Identity{Name: p.name, KeyID: p.id}, nil
	case s.KeyID == p.id:
		return Identity{}, &Error{Err: ErrTampered, Detail: fmt.Sprintf("the signature of %q does not fit", p.name)}
	}
	return Identity{}, &Error{Err: ErrForeign}
}
