// Package api is the HTTP edge: one handler that gives every request an id, verifies its signature, puts
// the cloister.Call into its context and hands it to the service that its credential scope names. It decides
// nothing about permissions: every service method authorizes by itself.
//
// The one thing to know: the files bedrock.go, ec2.go, kms.go, iam.go, sts.go and s3.go are the catalogue of what is
// served. An operation that is not in a table is answered as unserved, by name.
//
// Source: the AWS API References of the services, "Common errors".
package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/sigv4"
	"example.com/cloister/internal/wire"
)

// Names of the services in credential scopes.
const (
	serviceBedrock = "bedrock"
	serviceEC2     = "ec2"
	serviceKMS     = "kms"
	serviceIAM     = "iam"
	serviceSTS     = "sts"
	serviceS3      = "s3"
	// serviceOwn signs requests for Cloister's own paths.
	serviceOwn = "cloister"
)

// OwnPrefix begins the paths of what is not AWS's: no bucket can have that name.
const OwnPrefix = "/_cloister/"

// maxDocument limits S3's XML bodies in bytes: DeleteObjects names up to 1,000 keys of 1,024 bytes, which
// escaping can make six times as long.
const maxDocument = 8 << 20

// Services are the services that the edge serves. All are required, except EC2: without, it is answered as unserved.
type Services struct {
	Bedrock Bedrock
	EC2     EC2
	KMS     KMS
	IAM     IAM
	STS     STS
	S3      S3
}

// Operations returns the table of every service, by its name in credential scopes.
func (s Services) Operations() map[string][]wire.Operation {
	tables := map[string][]wire.Operation{
		serviceBedrock: bedrockOperations(s.Bedrock),
		serviceKMS:     kmsOperations(s.KMS),
		serviceIAM:     iamOperations(s.IAM),
		serviceSTS:     stsOperations(s.STS),
		serviceS3:      s3Operations(s.S3),
	}
	if s.EC2 != nil {
		tables[serviceEC2] = ec2Operations(s.EC2)
	}
	return tables
}

// Catalogue returns the names of all served operations, by service.
func Catalogue() map[string][]string {
	// The methods of nil clients are only named, never called.
	tables := Services{
		Bedrock: (*bedrock.Client)(nil), EC2: (*ec2.Client)(nil), KMS: (*kms.Client)(nil), IAM: (*awsiam.Client)(nil),
		STS: (*sts.Client)(nil), S3: (*s3.Client)(nil),
	}.Operations()
	out := make(map[string][]string, len(tables))
	for service, ops := range tables {
		for _, op := range ops {
			out[service] = append(out[service], op.Name())
		}
	}
	return out
}

// Config is what the edge needs. Fields without a default are required.
type Config struct {
	Services    Services
	Credentials iam.Credentials
	// Own answers requests below OwnPrefix, authenticated like all others; the context carries the Call.
	Own http.Handler
	Log *slog.Logger
	Now func() time.Time
	// Metrics receives the edge's counters.
	Metrics prometheus.Registerer
	// MaxBody limits bodies of services other than S3, in bytes; 0 means 1 MiB.
	MaxBody int64
	// MaxConcurrent is the most requests at once, own paths counted apart; 0 means 256.
	MaxConcurrent int
	// Hurry is how long a caller may take to send a body that is part of what is authenticated: all bodies but
	// those of S3; 0 means 10 s.
	Hurry time.Duration
	// Stall is the longest wait for the next bytes of a body, in either direction; 0 means 60 s.
	Stall time.Duration
}

// Handler is the edge. It is safe for concurrent use.
type Handler struct {
	services    map[string]*wire.Service
	credentials iam.Credentials
	verifier    *sigv4.Verifier
	own         http.Handler
	log         *slog.Logger
	now         func() time.Time
	metrics     *metrics
	stall       time.Duration
	hurry       time.Duration
	unknown     chan struct{} // slots of requests that are not authenticated yet
	slots       chan struct{}
	ownSlots    chan struct{}
}

// Defaults of Config.
const (
	defaultConcurrent = 256
	defaultStall      = time.Minute
	defaultHurry      = 10 * time.Second
	// unknownPerSlot is how many requests may wait to be authenticated for each that may be served.
	unknownPerSlot = 4
)

// New makes the edge.
func New(c Config) (*Handler, error) {
	s := c.Services
	if s.Bedrock == nil || s.KMS == nil || s.IAM == nil || s.STS == nil || s.S3 == nil ||
		c.Credentials == nil || c.Own == nil || c.Log == nil || c.Now == nil || c.Metrics == nil {
		return nil, errors.New("api: a required field of Config is missing")
	}
	if c.MaxBody == 0 {
		c.MaxBody = wire.DefaultMaxBody
	}
	if c.MaxConcurrent == 0 {
		c.MaxConcurrent = defaultConcurrent
	}
	if c.Stall == 0 {
		c.Stall = defaultStall
	}
	if c.Hurry == 0 {
		c.Hurry = defaultHurry
	}
	h := &Handler{
		services: map[string]*wire.Service{}, credentials: c.Credentials, verifier: sigv4.NewVerifier(c.Now, c.MaxBody),
		own: c.Own, log: c.Log, now: c.Now, stall: c.Stall, hurry: c.Hurry,
		unknown: make(chan struct{}, unknownPerSlot*c.MaxConcurrent),
		slots:   make(chan struct{}, c.MaxConcurrent), ownSlots: make(chan struct{}, c.MaxConcurrent),
	}
	for name, ops := range s.Operations() {
		limit := c.MaxBody
		if name == serviceS3 {
			limit = maxDocument
		}
		service, err := wire.NewService(name, limit, ops...)
		if err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
		h.services[name] = service
	}
	var err error
	if h.metrics, err = newMetrics(c.Metrics); err != nil {
		return nil, err
	}
	return h, nil
}
