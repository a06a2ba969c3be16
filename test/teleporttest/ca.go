package teleporttest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gravitational/teleport/api/constants"
	"golang.org/x/crypto/ssh"
)

// authority is the cluster's certificate authority: one key signs TLS certificates, one SSH certificates.
// Its certificates go by the real clock, as the TLS of both ends does.
type authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	sshKey ed25519.PrivateKey
	server tls.Certificate // what the auth server shows
}

const caFile = "ca.pem"

func newAuthority(cluster string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating CA key: %w", err)
	}
	_, sshKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating SSH CA key: %w", err)
	}
	template, err := template(pkix.Name{CommonName: cluster, Organization: []string{cluster}}, time.Now().AddDate(10, 0, 0))
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing CA certificate: %w", err)
	}
	ca := &authority{cert: cert, key: key, sshKey: sshKey}
	return ca, ca.issueServer()
}

// template is the part that all certificates have in common. It begins an hour before now, or before
// notAfter, so that an expired certificate has been valid once.
func template(subject pkix.Name, notAfter time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("drawing serial number: %w", err)
	}
	notBefore := time.Now()
	if notAfter.Before(notBefore) {
		notBefore = notAfter
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    notBefore.Add(-time.Hour),
		NotAfter:     notAfter,
	}, nil
}

// issueServer makes the certificate that the auth server shows. Clients look for APIDomain in it whatever
// address they dialled.
func (ca *authority) issueServer() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generating server key: %w", err)
	}
	template, err := template(pkix.Name{CommonName: constants.APIDomain}, ca.cert.NotAfter)
	if err != nil {
		return err
	}
	template.DNSNames = []string{constants.APIDomain, "localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := ca.sign(template, key.Public())
	if err != nil {
		return err
	}
	ca.server = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return nil
}

func (ca *authority) sign(template *x509.Certificate, pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, pub, ca.key)
	if err != nil {
		return nil, fmt.Errorf("signing certificate of %s: %w", template.Subject.CommonName, err)
	}
	return der, nil
}

// serverTLS is what the server offers and demands: a client certificate of this authority.
func (ca *authority) serverTLS() *tls.Config {
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	return &tls.Config{
		Certificates: []tls.Certificate{ca.server},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
		NextProtos:   []string{"h2"},
		MinVersion:   tls.VersionTLS12,
	}
}

func (ca *authority) certPEM() []byte { return certPEM(ca.cert.Raw) }

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// knownHosts is the line by which clients trust SSH hosts of the cluster.
func (ca *authority) knownHosts(cluster string) ([]byte, error) {
	pub, err := ssh.NewPublicKey(ca.sshKey.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding SSH CA key: %w", err)
	}
	key := bytes.TrimSpace(ssh.MarshalAuthorizedKey(pub))
	return fmt.Appendf(nil, "@cert-authority %s,*.%s %s type=host\n", cluster, cluster, key), nil
}

// openAuthority reads the authority kept in dir, or makes a new one and keeps it there. An empty dir
// keeps nothing.
func openAuthority(dir, cluster string) (*authority, error) {
	if dir != "" {
		ca, err := loadAuthority(filepath.Join(dir, caFile))
		if !errors.Is(err, fs.ErrNotExist) {
			return ca, err
		}
	}
	return replaceAuthority(dir, cluster)
}

// replaceAuthority makes a new authority and keeps it in dir instead of the one there.
func replaceAuthority(dir, cluster string) (*authority, error) {
	ca, err := newAuthority(cluster)
	if err != nil || dir == "" {
		return ca, err
	}
	var file bytes.Buffer
	file.Write(ca.certPEM())
	for _, key := range []crypto.PrivateKey{ca.key, ca.sshKey} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("encoding CA key: %w", err)
		}
		file.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return ca, writeFile(filepath.Join(dir, caFile), file.Bytes())
}

func loadAuthority(path string) (*authority, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading CA: %w", err)
	}
	ca := new(authority)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if err := ca.addBlock(block); err != nil {
			return nil, fmt.Errorf("reading CA from %s: %w", path, err)
		}
	}
	if ca.cert == nil || ca.key == nil || ca.sshKey == nil {
		return nil, fmt.Errorf("reading CA from %s: certificate or key missing", path)
	}
	return ca, ca.issueServer()
}

func (ca *authority) addBlock(block *pem.Block) error {
	if block.Type == "CERTIFICATE" {
		cert, err := x509.ParseCertificate(block.Bytes)
		ca.cert = cert
		return err
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		ca.key = key
	case ed25519.PrivateKey:
		ca.sshKey = key
	}
	return err
}
