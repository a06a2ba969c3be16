package teleport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/trace"
)

// identity is what the credential files held at one moment.
type identity struct {
	creds   client.Credentials
	user    string // Teleport keeps it in the common name of the TLS certificate
	issued  time.Time
	expires time.Time
	sum     [sha256.Size]byte // of the files' content
}

// file is the file whose certificate expires.
func (cfg Config) file() string {
	if cfg.Identity != "" {
		return cfg.Identity
	}
	return cfg.ClientCrt
}

// readIdentity reads the credential files. A file that is still being written is an error, unless it ends
// between two of its blocks by chance.
func (cfg Config) readIdentity() (identity, error) {
	if cfg.Identity != "" {
		return cfg.readIdentityFile()
	}
	return cfg.readKeyPair()
}

func (cfg Config) readIdentityFile() (identity, error) {
	content, err := os.ReadFile(cfg.Identity)
	if err != nil {
		return identity{}, unreadable("identity", cfg.Identity, err)
	}
	id, err := newIdentity(client.LoadIdentityFileFromString(string(content)), content)
	if err != nil {
		return identity{}, fmt.Errorf("reading Teleport identity %s: %w: "+
			"it must hold what tbot (type: identity) or \"tctl auth sign --format=file\" writes", cfg.Identity, err)
	}
	return id, nil
}

func (cfg Config) readKeyPair() (identity, error) {
	crt, err := os.ReadFile(cfg.ClientCrt)
	if err != nil {
		return identity{}, unreadable("client_crt", cfg.ClientCrt, err)
	}
	key, err := os.ReadFile(cfg.ClientKey)
	if err != nil {
		return identity{}, unreadable("client_key", cfg.ClientKey, err)
	}
	cas, err := os.ReadFile(cfg.RootCAs)
	if err != nil {
		return identity{}, unreadable("root_cas", cfg.RootCAs, err)
	}
	creds, err := client.KeyPair(crt, key, cas)
	if err == nil {
		var id identity
		if id, err = newIdentity(creds, crt, key, cas); err == nil {
			return id, nil
		}
	}
	return identity{}, fmt.Errorf("reading Teleport certificate %s with key %s and authorities %s: %s: "+
		"they must be what one \"tctl auth sign --format=tls\" writes", cfg.ClientCrt, cfg.ClientKey, cfg.RootCAs, oneLine(err))
}

// newIdentity checks what client.New would only find out while dialling.
func newIdentity(creds client.Credentials, contents ...[]byte) (identity, error) {
	config, err := creds.TLSConfig()
	if err != nil {
		return identity{}, errors.New(oneLine(err))
	}
	if config.RootCAs.Equal(x509.NewCertPool()) {
		return identity{}, errors.New("it holds no certificate of the cluster's authority")
	}
	if _, err := creds.SSHClientConfig(); err != nil && !trace.IsNotImplemented(err) { // a key pair has none
		return identity{}, errors.New(oneLine(err))
	}
	cert, err := config.GetClientCertificate(&tls.CertificateRequestInfo{}) // where the client library keeps it
	if err != nil {
		return identity{}, errors.New(oneLine(err))
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return identity{}, fmt.Errorf("its certificate: %s", oneLine(err))
	}
	return identity{
		creds:   creds,
		user:    leaf.Subject.CommonName,
		issued:  leaf.NotBefore,
		expires: leaf.NotAfter,
		sum:     sha256.Sum256(bytes.Join(contents, []byte{0})),
	}, nil
}

// unreadable says what is wrong with a file and what to do about it.
func unreadable(key, path string, err error) error {
	cause := err
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		cause = pathErr.Err
	}
	return fmt.Errorf("reading Teleport %s %s: %w: let tbot or \"tctl auth sign\" write it there, readable by pdhook, "+
		"or correct teleport.%s", key, path, cause, key)
}
