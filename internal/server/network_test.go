package server

import (
	"errors"
	"fmt"
	"testing"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/vpc"
)

// TestAttachError: a canary that fails, and the rest, as a failureMessage has it.
func TestAttachError(t *testing.T) {
	t.Parallel()
	of := func(code, text string) error {
		return fmt.Errorf("attach eni-1: %w", &netd.Error{Code: code, Text: text})
	}
	for want, err := range map[string]error{
		"SubnetAddressesExhausted: no free address in subnet-1":                                                                      &vpc.JobError{Text: "SubnetAddressesExhausted: no free address in subnet-1"},
		"S3EndpointUnreachable: canary: it does not answer":                                                                          of(netd.CodeEndpointDown, "canary: it does not answer"),
		"S3EndpointUnreachable: canary: no route":                                                                                    of(netd.CodeNoEndpointRoute, "canary: no route"),
		"SecurityGroupEgressBlocked: canary: no rule":                                                                                of(netd.CodeEgressBlocked, "canary: no rule"),
		"IsolationUnavailable: canary: a packet is not on record. `cloister doctor` says what this host lacks":                       of("", "canary: a packet is not on record"),
		"IsolationUnavailable: canary: somebody else changed the filter. `cloister doctor` says what this host lacks":                of(netd.CodeTampered, "canary: somebody else changed the filter"),
		"IsolationUnavailable: the helper that makes sandboxes and networks has ended: restart the server, and create the job again": errors.Join(fmt.Errorf("attach eni-1: %w", executor.ErrGone), executor.ErrGone),
	} {
		if got := attachError(err).Error(); got != want {
			t.Errorf("%v gives %q, want %q", err, got, want)
		}
	}
}
