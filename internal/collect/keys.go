package collect

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister/internal/posture"
)

// keyUse is a key that something names.
type keyUse struct {
	jobs  []string
	found *posture.Source
}

// readKeys reads the keys that the region's jobs, models, copies and log groups name.
func (g *region) readKeys(ctx context.Context) {
	uses := map[string]*keyUse{}
	use := func(ref, job string, found *posture.Source) {
		if ref == "" {
			return
		}
		ref = posture.KeyRef(g.account.inv.Partition, g.name, g.account.inv.ID, ref)
		u, ok := uses[ref]
		if !ok {
			u = &keyUse{found: found}
			uses[ref] = u
		}
		if job != "" && (len(u.jobs) == 0 || u.jobs[len(u.jobs)-1] != job) {
			u.jobs = append(u.jobs, job)
		}
	}
	for _, j := range g.inv.Jobs.Items {
		if d, ok := j.Detail.Read(); ok {
			use(d.Key, j.Name, j.Detail.Source())
		}
	}
	for _, m := range g.inv.Models.Items {
		if d, ok := m.Detail.Read(); ok {
			use(d.Key, "", m.Detail.Source())
		}
	}
	for _, m := range g.inv.ImportedModels.Items {
		if d, ok := m.Detail.Read(); ok {
			use(d.Key, "", m.Detail.Source())
		}
	}
	for _, c := range g.inv.Copies.Items {
		use(c.TargetKey, "", c.Found)
	}
	g.readLogGroups(ctx)
	for _, name := range slices.Sorted(maps.Keys(g.inv.LogGroups)) {
		if group, ok := g.inv.LogGroups[name].Read(); ok && group != nil {
			use(group.Key, "", g.inv.LogGroups[name].Source())
		}
	}
	each(slices.Sorted(maps.Keys(uses)), func(ref string) { g.keyRegion(ref).readKey(ctx, ref, uses[ref]) })
}

// keyRegion is the region that a key's ARN names, else this one.
func (g *region) keyRegion(ref string) *region {
	parts := strings.SplitN(ref, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[3] == g.name || parts[3] == "" {
		return g
	}
	return g.reach(parts[3])
}

// readKey reads a key once: two that name it at the same time share what is read.
func (g *region) readKey(ctx context.Context, ref string, use *keyUse) {
	g.mu.Lock()
	k, known := g.inv.Keys[ref]
	if !known {
		k = &posture.Key{Ref: ref, Found: use.found}
		g.inv.Keys[ref] = k
	}
	jobs := append(slices.Clone(k.Jobs), use.jobs...)
	slices.Sort(jobs)
	k.Jobs = slices.Compact(jobs)
	g.mu.Unlock()
	if known {
		return
	}
	k.Detail = absent(datum(call(ctx, g, "kms:DescribeKey", ref, g.kms.DescribeKey, &kms.DescribeKeyInput{KeyId: &ref}), func(out *kms.DescribeKeyOutput) (*posture.KeyDetail, error) {
		d, err := takeKey(out)
		if err == nil && strings.Contains(ref, ":key/") {
			err = other(ref, d.ARN)
		}
		return d, err
	}), nil, "NotFoundException")
	d, ok := k.Detail.Read()
	if !ok || d == nil || d.Manager != "CUSTOMER" {
		return
	}
	all(
		func() {
			if d.Origin == "AWS_KMS" && d.Spec == "SYMMETRIC_DEFAULT" {
				k.Rotation = datum(call(ctx, g, "kms:GetKeyRotationStatus", ref, g.kms.GetKeyRotationStatus, &kms.GetKeyRotationStatusInput{KeyId: &d.ARN}),
					func(out *kms.GetKeyRotationStatusOutput) (bool, error) { return out.KeyRotationEnabled, nil })
			}
		},
		func() { k.Grants = g.listGrants(ctx, d.ARN) },
	)
}

func takeKey(out *kms.DescribeKeyOutput) (*posture.KeyDetail, error) {
	var t taker
	m := out.KeyMetadata
	if m == nil {
		t.fail("the answer lacks KeyMetadata")
		return nil, t.err
	}
	d := &posture.KeyDetail{
		ARN: t.str("Arn", m.Arn), ID: t.str("KeyId", m.KeyId),
		Manager: enum(&t, "KeyManager", m.KeyManager, m.KeyManager.Values()), State: enum(&t, "KeyState", m.KeyState, m.KeyState.Values()),
		Spec: enum(&t, "KeySpec", m.KeySpec, m.KeySpec.Values()), Usage: enum(&t, "KeyUsage", m.KeyUsage, m.KeyUsage.Values()),
		Origin: enum(&t, "Origin", m.Origin, m.Origin.Values()), MultiRegion: aws.ToBool(m.MultiRegion),
	}
	if parts := strings.SplitN(d.ARN, ":", 6); len(parts) == 6 {
		d.Account = parts[4]
	} else {
		t.fail("Arn is %q, which is none", d.ARN)
	}
	return d, t.err
}

func (g *region) listGrants(ctx context.Context, key string) posture.List[posture.Grant] {
	return list(ctx, g, "kms:ListGrants", key, g.kms.ListGrants, &kms.ListGrantsInput{KeyId: &key, Limit: aws.Int32(100)},
		func(in *kms.ListGrantsInput, token *string) { in.Marker = token },
		func(out *kms.ListGrantsOutput, _ *posture.Source) ([]posture.Grant, *string, error) {
			var t taker
			var grants []posture.Grant
			for _, e := range out.Grants {
				grant := posture.Grant{
					ID: t.str("GrantId", e.GrantId), Name: aws.ToString(e.Name), Grantee: firstOf(e.GranteePrincipal, e.GranteeServicePrincipal),
					Retiring: firstOf(e.RetiringPrincipal, e.RetiringServicePrincipal),
				}
				if grant.Grantee == "" {
					t.fail("the answer lacks GranteePrincipal")
				}
				for _, op := range e.Operations {
					grant.Operations = append(grant.Operations, string(op))
				}
				if c := e.Constraints; c != nil {
					grant.Context = map[string]string{}
					maps.Copy(grant.Context, c.EncryptionContextSubset)
					maps.Copy(grant.Context, c.EncryptionContextEquals)
				}
				grants = append(grants, grant)
			}
			if !out.Truncated {
				return grants, nil, t.err
			}
			t.str("NextMarker", out.NextMarker)
			return grants, out.NextMarker, t.err
		})
}

// readLogGroups reads the log group that invocation logs go to.
func (g *region) readLogGroups(ctx context.Context) {
	l, ok := g.inv.Logging.Read()
	if !ok || l == nil || l.LogGroup == "" {
		return
	}
	in := &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &l.LogGroup}
	found := list(ctx, g, "logs:DescribeLogGroups", l.LogGroup, g.logs.DescribeLogGroups, in,
		func(in *cloudwatchlogs.DescribeLogGroupsInput, token *string) { in.NextToken = token },
		func(out *cloudwatchlogs.DescribeLogGroupsOutput, _ *posture.Source) ([]*posture.LogGroup, *string, error) {
			var t taker
			var groups []*posture.LogGroup
			for _, lg := range out.LogGroups {
				groups = append(groups, &posture.LogGroup{
					ARN: aws.ToString(lg.Arn), Name: t.str("logGroupName", lg.LogGroupName), Key: aws.ToString(lg.KmsKeyId), RetentionDays: int(aws.ToInt32(lg.RetentionInDays)),
				})
			}
			return groups, out.NextToken, t.err
		})
	spread(g.inv.LogGroups, []string{l.LogGroup}, found, func(lg *posture.LogGroup) string { return lg.Name })
}
