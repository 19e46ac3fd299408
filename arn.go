package cloister

import (
	"fmt"
	"strings"
)

// ARN is a parsed Amazon Resource Name: arn:partition:service:region:account:resource.
// Source: IAM User Guide, "Amazon Resource Names (ARNs)".
type ARN struct {
	Partition string
	Service   string
	Region    Region    // empty for global resources
	Account   AccountID // empty for foundation models and buckets
	Resource  string    // may contain ':' and '/'
}

// maxARN is the longest ARN that any served AWS API accepts (Bedrock's TaggableResourcesArn and S3
// object ARNs included), in bytes.
const maxARN = 2048

// ParseARN splits s. Parsing and printing round-trip: ParseARN(s).String() == s for every s it accepts.
func ParseARN(s string) (ARN, error) {
	if len(s) > maxARN {
		return ARN{}, fmt.Errorf("ARN is longer than %d bytes", maxARN)
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return ARN{}, fmt.Errorf("%q is not an ARN: want arn:partition:service:region:account:resource", s)
	}
	arn := ARN{parts[1], parts[2], Region(parts[3]), AccountID(parts[4]), parts[5]}
	if arn.Partition == "" || arn.Service == "" || arn.Resource == "" {
		return ARN{}, fmt.Errorf("%q is not an ARN: partition, service and resource may not be empty", s)
	}
	return arn, nil
}

// String prints the ARN.
func (a ARN) String() string {
	return strings.Join([]string{"arn", a.Partition, a.Service, string(a.Region), string(a.Account), a.Resource}, ":")
}

// Type returns the resource type and the rest: "role", "service-role/x" for role/service-role/x.
// Types end at the first '/' or ':'; a resource without either has no type.
func (a ARN) Type() (kind, id string) {
	i := strings.IndexAny(a.Resource, "/:")
	if i < 0 {
		return "", a.Resource
	}
	return a.Resource[:i], a.Resource[i+1:]
}

// NewARN builds an ARN in Cloister's partition.
func NewARN(service string, region Region, account AccountID, resource string) ARN {
	return ARN{Partition, service, region, account, resource}
}
