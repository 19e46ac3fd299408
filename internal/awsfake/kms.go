package awsfake

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
)

// usualGrants is how many grants a page has if the request does not say.
// Source: KMS API Reference, ListGrants.
const usualGrants = 50

// keyARN is the ARN of the key that id, an id, an ARN or an alias, means; of one that is not there what AWS
// would ask its policies about.
func keyARN(c *call, id *string) string {
	if k := c.key(id); k != nil {
		return aws.ToString(k.metadata.Arn)
	}
	if strings.HasPrefix(aws.ToString(id), "arn:") {
		return *id
	}
	return c.arn("kms", "key/"+aws.ToString(id))
}

func describedKeyARN(c *call, in *kms.DescribeKeyInput) string        { return keyARN(c, in.KeyId) }
func rotatedKeyARN(c *call, in *kms.GetKeyRotationStatusInput) string { return keyARN(c, in.KeyId) }
func grantedKeyARN(c *call, in *kms.ListGrantsInput) string           { return keyARN(c, in.KeyId) }

// key finds a key of c's region, in any account; nil if there is none.
func (c *call) key(id *string) *key {
	name := aws.ToString(id)
	if k, ok := c.region.keys.find(name); ok {
		return k
	}
	if strings.HasPrefix(name, "arn:"+c.s.world.partition+":kms:"+c.Region+":") {
		return c.s.world.keys[name]
	}
	return nil
}

// readable finds the key that the caller may read.
func (c *call) readable(id *string) (*key, error) {
	k, name := c.key(id), aws.ToString(id)
	switch {
	case k == nil && strings.HasPrefix(name, "alias/"):
		return nil, cloister.Errorf("NotFoundException", "Alias %s is not found.", c.arn("kms", name))
	case k == nil && strings.HasPrefix(name, "arn:") && !strings.Contains(name, ":kms:"+c.Region+":"):
		return nil, cloister.Errorf("NotFoundException", "Invalid arn %s", strings.Split(name+":::", ":")[3])
	case k == nil && strings.HasPrefix(name, "arn:"):
		return nil, cloister.Errorf("NotFoundException", "Key '%s' does not exist", name)
	case k == nil:
		return nil, cloister.Errorf("NotFoundException", "Key '%s' does not exist", c.arn("kms", "key/"+name))
	case k.account != c.Account && !k.shared:
		return nil, cloister.Errorf("AccessDeniedException",
			"User: %s is not authorized to perform: %s on resource: %s because no resource-based policy allows the %s action",
			c.caller, c.Action, aws.ToString(k.metadata.Arn), c.Action)
	}
	return k, nil
}

func describeKey(c *call, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, error) {
	k, err := c.readable(in.KeyId)
	if err != nil {
		return nil, err
	}
	return &kms.DescribeKeyOutput{KeyMetadata: &k.metadata}, nil
}

func getKeyRotationStatus(c *call, in *kms.GetKeyRotationStatusInput) (*kms.GetKeyRotationStatusOutput, error) {
	k, err := c.readable(in.KeyId)
	if err != nil {
		return nil, err
	}
	return &k.rotation, nil
}

func listGrants(c *call, in *kms.ListGrantsInput) (*kms.ListGrantsOutput, error) {
	k, err := c.readable(in.KeyId)
	if err != nil {
		return nil, err
	}
	all := keep(k.grants,
		equal(in.GrantId, func(g types.GrantListEntry) *string { return g.GrantId }),
		equal(in.GranteePrincipal, func(g types.GrantListEntry) *string { return g.GranteePrincipal }))
	grants, next := page(c, all, in.Limit, usualGrants)
	return &kms.ListGrantsOutput{Grants: grants, NextMarker: next, Truncated: next != nil}, nil
}
