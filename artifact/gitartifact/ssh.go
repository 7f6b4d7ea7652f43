package gitartifact

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
)

// sshAuth is go-git's way of being told how to connect.
type sshAuth struct {
	user    string
	signer  ssh.Signer
	address string
	files   []string
	timeout time.Duration
}

func newSSHAuth(ep *transport.Endpoint, o Options) (*sshAuth, error) {
	var signer ssh.Signer
	var err error
	switch {
	case len(o.Key) == 0:
		return nil, errors.New("no Key; ssh needs a private key in PEM")
	case o.Passphrase != "":
		signer, err = ssh.ParsePrivateKeyWithPassphrase(o.Key, []byte(o.Passphrase))
	default:
		signer, err = ssh.ParsePrivateKey(o.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	a := &sshAuth{user: ep.User, signer: signer, files: o.KnownHosts, timeout: o.Timeout}
	if a.user == "" {
		a.user = gitssh.DefaultUsername
	}
	port := ep.Port
	if port <= 0 {
		port = gitssh.DefaultPort
	}
	a.address = net.JoinHostPort(ep.Host, strconv.Itoa(port))
	return a, nil
}

func (a *sshAuth) Name() string   { return gitssh.PublicKeysName }
func (a *sshAuth) String() string { return "user: " + a.user + ", name: " + a.Name() }

// ClientConfig reads the known hosts anew for each connection, since they may have been completed meanwhile.
func (a *sshAuth) ClientConfig() (*ssh.ClientConfig, error) {
	known, err := gitssh.NewKnownHostsDb(a.files...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHostKey, err)
	}
	check := known.HostKeyCallback()
	return &ssh.ClientConfig{
		User: a.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(a.signer)}, Timeout: a.timeout,
		HostKeyAlgorithms: known.HostKeyAlgorithms(a.address),
		HostKeyCallback: func(hostname string, remote net.Addr, key ssh.PublicKey) error {
			if err := check(hostname, remote, key); err != nil {
				return fmt.Errorf("%w: %s has the key %s: %w", ErrHostKey, hostname, ssh.FingerprintSHA256(key), err)
			}
			return nil
		},
	}, nil
}
