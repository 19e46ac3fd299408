package tlsca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"regexp"
	"sync"
	"time"
)

// Private is an authority that lives in memory only, for the S3 endpoints in VPCs, whose names are AWS's. The authority of this
// server's clients must not be able to issue for those: who stole its key could speak as AWS to everybody who trusts it.
// It is safe for concurrent use, and good for leafLife.
type Private struct {
	// CA is the authority's certificate in PEM, for those who may trust it.
	CA []byte

	ca  *x509.Certificate
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by region, guarded by mu
}

// NewPrivate makes an authority. now is the time from which it is good.
func NewPrivate(now time.Time) (*Private, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Cloister VPC endpoint CA"}, NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{"amazonaws.com"},
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	if ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return &Private{CA: pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: der}), ca: ca, key: key, leaves: map[string]*tls.Certificate{}}, nil
}

// mostRegions bounds what a job can make this server remember.
const mostRegions = 64

// s3Name is a name of Amazon S3 in a region, or of a bucket there.
var s3Name = regexp.MustCompile(`^(?:[a-z0-9.-]+\.)?s3\.([a-z]{2,8}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2})\.amazonaws\.com$`)

// GetCertificate is for tls.Config: it issues for s3.REGION.amazonaws.com and what is below, and for nothing else.
func (p *Private) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	match := s3Name.FindStringSubmatch(hello.ServerName)
	if match == nil {
		return nil, fmt.Errorf("no certificate for %q: this is an S3 endpoint", hello.ServerName)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if leaf := p.leaves[match[1]]; leaf != nil {
		return leaf, nil
	}
	if len(p.leaves) == mostRegions {
		return nil, fmt.Errorf("no certificate for %q: there are certificates for %d regions already", hello.ServerName, mostRegions)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	name := "s3." + match[1] + ".amazonaws.com"
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(p.leaves)) + 2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "*." + name},
		NotBefore: p.ca.NotBefore, NotAfter: p.ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, p.ca, &key.PublicKey, p.key)
	if err != nil {
		return nil, err
	}
	p.leaves[match[1]] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return p.leaves[match[1]], nil
}
