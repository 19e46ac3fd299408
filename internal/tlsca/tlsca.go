// Package tlsca keeps a certificate authority of this server's own and the server's certificate in a
// directory, so that HTTPS works from the first start. It is not for certificates that others issued.
//
// The one thing to know: the CA's key never leaves its file, and the CA may issue only for the names and
// addresses it was made with (RFC 5280 name constraints). When a name is configured that it does not permit,
// a new CA is made, and clients must load it again.
//
// Sources: RFC 5280, section 4.2.1.10; CA/Browser Forum Baseline Requirements, for the leaf's lifetime.
package tlsca

import (
	"crypto/ecdsa"
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
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	caLife = 10 * 365 * 24 * time.Hour
	// leafLife is below the 398 days that some clients accept at most.
	leafLife = 390 * 24 * time.Hour
	// renewBefore is how long before its end a leaf is replaced.
	renewBefore = 30 * 24 * time.Hour
	// backdate allows for clients whose clocks are late.
	backdate = time.Hour

	caFile     = "ca.pem"
	caKeyFile  = "ca-key.pem"
	blockCert  = "CERTIFICATE"
	blockKey   = "PRIVATE KEY"
	commonName = "Cloister local CA"
)

// Authority is a CA and the server certificate that it issued. It is safe for concurrent use.
type Authority struct {
	// CAFile is the path of the CA's certificate in PEM, for clients.
	CAFile string

	names []string
	now   func() time.Time
	ca    *x509.Certificate
	key   *ecdsa.PrivateKey

	mu   sync.Mutex
	leaf *tls.Certificate // guarded by mu
}

// Load reads the authority in dir or makes it: dir is created with mode 0700, the key's file has 0600, and
// every file is written at once or not at all. names are host names and IP addresses beside localhost,
// 127.0.0.1 and ::1. now is the clock. One process at a time may call it for a directory.
func Load(dir string, names []string, now func() time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of the CA: %w", err)
	}
	a := &Authority{CAFile: filepath.Join(dir, caFile), names: allNames(names), now: now}
	for _, name := range a.names {
		if net.ParseIP(name) == nil && !validName(name) {
			return nil, fmt.Errorf("%q is neither a host name nor an IP address", name)
		}
	}
	err := a.read(dir)
	switch {
	case err == nil && a.usable():
	case err == nil || errors.Is(err, fs.ErrNotExist):
		if err := a.create(dir); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("%w; to make a new CA, remove %s and %s", err, a.CAFile, filepath.Join(dir, caKeyFile))
	}
	if _, err := a.Certificate(); err != nil {
		return nil, err
	}
	return a, nil
}

func allNames(names []string) []string {
	all := append([]string{"localhost", "127.0.0.1", "::1"}, names...)
	for i, n := range all {
		all[i] = strings.ToLower(strings.TrimSuffix(n, "."))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// validName says that s is a plain DNS name, without wildcards.
func validName(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}) && !strings.HasPrefix(s, ".") && !strings.Contains(s, "..")
}

// Certificate returns the server's certificate and renews it when it ends within 30 days.
func (a *Authority) Certificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.leaf != nil && a.now().Before(a.leaf.Leaf.NotAfter.Add(-renewBefore)) {
		return a.leaf, nil
	}
	leaf, err := a.issue()
	if err != nil {
		return nil, err
	}
	a.leaf = leaf
	return leaf, nil
}

// TLSConfig returns a server's configuration: TLS 1.2 and above, HTTP/1.1 (S3's clients want 100-continue
// and one stream a connection), the current certificate.
func (a *Authority) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.Certificate() },
	}
}

// read loads CA certificate and key.
func (a *Authority) read(dir string) error {
	cert, err := readPEM(a.CAFile, blockCert)
	if err != nil {
		return err
	}
	key, err := readPEM(filepath.Join(dir, caKeyFile), blockKey)
	if err != nil {
		return err
	}
	if a.ca, err = x509.ParseCertificate(cert); err != nil {
		return fmt.Errorf("read CA certificate: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return errors.New("read CA key: it is damaged")
	}
	var ok bool
	if a.key, ok = parsed.(*ecdsa.PrivateKey); !ok || !a.key.PublicKey.Equal(a.ca.PublicKey) {
		return errors.New("the CA's key does not belong to its certificate")
	}
	return nil
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM", path, kind)
	}
	return block.Bytes, nil
}

// usable says that the CA lives long enough for a leaf and permits every name.
func (a *Authority) usable() bool {
	if !a.now().Add(leafLife).Before(a.ca.NotAfter) {
		return false
	}
	for _, name := range a.names {
		if ip := net.ParseIP(name); ip != nil {
			if !slices.ContainsFunc(a.ca.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) }) {
				return false
			}
		} else if !slices.Contains(a.ca.PermittedDNSDomains, name) {
			return false
		}
	}
	return true
}

func (a *Authority) create(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make CA key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	now := a.now().UTC()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: commonName, Organization: []string{"Cloister"}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(caLife),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		PermittedDNSDomainsCritical: true,
	}
	for _, name := range a.names {
		if ip := net.ParseIP(name); ip != nil {
			template.PermittedIPRanges = append(template.PermittedIPRanges, single(ip))
		} else {
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make CA certificate: %w", err)
	}
	packed, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("pack CA key: %w", err)
	}
	// The certificate goes first: a crash between the two leaves no key, and the next start makes both anew.
	keyPath := filepath.Join(dir, caKeyFile)
	if err := os.Remove(keyPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace CA key: %w", err)
	}
	if err := writeFile(a.CAFile, blockCert, der, 0o644); err != nil {
		return err
	}
	if err := writeFile(keyPath, blockKey, packed, 0o600); err != nil {
		return err
	}
	return a.read(dir)
}

func single(ip net.IP) *net.IPNet {
	if v4 := ip.To4(); v4 != nil {
		return &net.IPNet{IP: v4, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}

// issue makes a leaf. Its key lives in memory only: a new one comes with every start.
func (a *Authority) issue() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make server key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return nil, err
	}
	now := a.now().UTC()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "cloister"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range a.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.ca, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue server certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue server certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.ca.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func serialNumber() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// writeFile writes a PEM file durably and at once: a reader sees the old file, the new one, or none.
func writeFile(path, kind string, der []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tlsca-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	if err = errors.Join(f.Chmod(mode), pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
