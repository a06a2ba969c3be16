package teleporttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gravitational/teleport/api/identityfile"
	"github.com/gravitational/teleport/api/utils/keys"
	"golang.org/x/crypto/ssh"
)

// IdentityOptions says how long the certificates of an identity live and what their user may do.
type IdentityOptions struct {
	TTL      time.Duration // life from now on; default one hour, as tbot's. Ignored when NotAfter is set
	NotAfter time.Time     // end of life; may lie in the past
	Roles    []string      // Teleport roles; only AdminRole has a meaning here
}

func (o IdentityOptions) end() time.Time {
	switch {
	case !o.NotAfter.IsZero():
		return o.NotAfter
	case o.TTL != 0:
		return time.Now().Add(o.TTL)
	default:
		return time.Now().Add(time.Hour)
	}
}

// WriteIdentity writes an identity file for user, as tbot and `tctl auth sign` make them. A file already
// at path is replaced by renaming, so that a reader never meets half of it.
func (s *Server) WriteIdentity(path, user string, o IdentityOptions) error {
	id, err := s.newIdentity(user, o)
	if err != nil {
		return err
	}
	content, err := identityfile.Encode(id)
	if err != nil {
		return fmt.Errorf("encoding identity of %s: %w", user, err)
	}
	return writeFile(path, content)
}

// WriteKeyPair writes what `tctl auth sign --format=tls` makes for user: the paths of certificate, key
// and CA certificate in dir. Each file is replaced by renaming.
func (s *Server) WriteKeyPair(dir, user string, o IdentityOptions) (crt, key, cas string, err error) {
	id, err := s.newIdentity(user, o)
	if err != nil {
		return "", "", "", err
	}
	base := filepath.Join(dir, user)
	crt, key, cas = base+".crt", base+".key", base+".cas"
	for _, file := range []struct {
		path    string
		content []byte
	}{{crt, id.Certs.TLS}, {key, id.PrivateKey}, {cas, id.CACerts.TLS[0]}} {
		if err := writeFile(file.path, file.content); err != nil {
			return "", "", "", err
		}
	}
	return crt, key, cas, nil
}

// RotateCA replaces the certificate authority. Open connections stay; the next handshake needs an identity
// that was written after the rotation, and the identities before trust this server no more.
func (s *Server) RotateCA() error {
	ca, err := replaceAuthority(s.opts.Dir, s.opts.ClusterName)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ca = ca
	return nil
}

func (s *Server) authority() *authority {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ca
}

func (s *Server) newIdentity(user string, o IdentityOptions) (*identityfile.IdentityFile, error) {
	ca, end := s.authority(), o.end()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating key of %s: %w", user, err)
	}
	keyPEM, err := keys.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding key of %s: %w", user, err)
	}
	// Teleport keeps the user in the common name and the roles in the organization.
	template, err := template(pkix.Name{CommonName: user, Organization: o.Roles}, end)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	tlsCert, err := ca.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	sshCert, err := ca.signSSH(key, user, template.NotBefore, end)
	if err != nil {
		return nil, err
	}
	hosts, err := ca.knownHosts(s.opts.ClusterName)
	if err != nil {
		return nil, err
	}
	return &identityfile.IdentityFile{
		PrivateKey: keyPEM,
		Certs:      identityfile.Certs{TLS: certPEM(tlsCert), SSH: sshCert},
		CACerts:    identityfile.CACerts{TLS: [][]byte{ca.certPEM()}, SSH: [][]byte{hosts}},
	}, nil
}

// signSSH makes the SSH certificate without which no identity file is accepted. The second principal is
// the one that renewed identities use through a proxy.
func (ca *authority) signSSH(key *ecdsa.PrivateKey, user string, from, to time.Time) ([]byte, error) {
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding SSH key of %s: %w", user, err)
	}
	signer, err := ssh.NewSignerFromKey(ca.sshKey)
	if err != nil {
		return nil, fmt.Errorf("using SSH CA key: %w", err)
	}
	cert := &ssh.Certificate{
		Key:             pub,
		CertType:        ssh.UserCert,
		KeyId:           user,
		ValidPrincipals: []string{user, "-teleport-internal-join"},
		ValidAfter:      uint64(from.Unix()),
		ValidBefore:     uint64(to.Unix()),
	}
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		return nil, fmt.Errorf("signing SSH certificate of %s: %w", user, err)
	}
	return ssh.MarshalAuthorizedKey(cert), nil
}

// writeFile replaces path in one step.
func writeFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600, as Teleport's tools have it
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = file.Write(content)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		os.Remove(file.Name()) // the first error says more
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
