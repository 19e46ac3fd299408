package api

import (
	"context"
	"net/http"
	"strings"

	"example.com/cloister"
)

// Endpoint is the S3 gateway endpoint of a VPC through which requests come.
type Endpoint struct {
	// VPC and ID are the VPC's id and the endpoint's.
	VPC, ID string
}

type endpointKey struct{}

// WithEndpoint is the context of connections that come through an endpoint. Nothing but S3 is served to them.
func WithEndpoint(ctx context.Context, e Endpoint) context.Context {
	return context.WithValue(ctx, endpointKey{}, e)
}

// throughEndpoint adds to the call where it came from, and refuses what is not for S3.
func throughEndpoint(r *http.Request, service string, call *cloister.Call) error {
	e, ok := r.Context().Value(endpointKey{}).(Endpoint)
	if !ok {
		return nil
	}
	if service != serviceS3 {
		return cloister.Errorf("AccessDenied", "This is a VPC's S3 endpoint: it serves nothing but S3.").WithStatus(http.StatusForbidden)
	}
	call.SourceVPC, call.SourceVPCE, call.VPCSourceIP, call.SourceIP = e.VPC, e.ID, call.SourceIP, ""
	return nil
}

// endpointBucket puts the bucket of a virtual-hosted-style address at an endpoint into the path, after the signature was
// checked. It reports whether there was one.
func endpointBucket(r *http.Request) bool {
	if _, ok := r.Context().Value(endpointKey{}).(Endpoint); !ok {
		return false
	}
	bucket, rest, ok := strings.Cut(strings.ToLower(r.Host), ".s3.")
	if !ok || bucket == "" || !strings.HasSuffix(strings.TrimSuffix(rest, ":443"), ".amazonaws.com") {
		return false
	}
	r.URL.Path = "/" + bucket + r.URL.Path
	if r.URL.RawPath != "" {
		r.URL.RawPath = "/" + bucket + r.URL.RawPath
	}
	return true
}
