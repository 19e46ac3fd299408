package remediate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/cloister/internal/posture"
)

// target decides where a new job runs and under which key. It is not ok if the operator has to say more first.
func (p *planner) target(ctx context.Context, f *failing, d *posture.JobDetail) (to target, ok bool, err error) {
	to.role = p.Role
	ok = true
	if len(p.VPCs) > 0 || len(p.Subnets) > 0 {
		if to.vpc, to.subnets, to.groups, err = p.network(ctx, f.region); err != nil {
			return to, false, err
		}
		ok = len(to.subnets) > 0
	} else if !d.HasVPC || mendsNetwork(f.results) {
		p.refuse("NoTargetNetwork", "job %s in %s has to get a network: name --vpc, or --subnets and --security-groups", d.Name, f.region.Name)
		ok = false
	}
	if d.Key == "" {
		if to.key, err = p.keyOf(ctx, f.region); err != nil {
			return to, false, err
		}
		if to.key == "" && !p.KeepServiceKey {
			p.refuse("NoCustomerKey", "job %s in %s has no customer managed key: name one of %s with --kms-key, or --keep-service-key", d.Name, f.region.Name, f.region.Name)
			ok = false
		}
	}
	return to, ok, nil
}

func mendsNetwork(results []posture.Result) bool {
	return slices.ContainsFunc(results, func(r posture.Result) bool {
		return slices.Contains([]string{"MC-JOB-001", "MC-JOB-002", "MC-JOB-003"}, r.Rule)
	})
}

// keyOf is the ARN of the key for a region: an alias may mean another key tomorrow.
func (p *planner) keyOf(ctx context.Context, r *posture.Region) (string, error) {
	ref := p.key(r)
	if ref == "" || !strings.Contains(ref, ":alias/") {
		return ref, nil
	}
	members, err := get(ctx, p.caller(r.Account.ID, r.Name), "kms:DescribeKey", map[string]any{"KeyId": ref})
	if err != nil {
		return "", fmt.Errorf("--kms-key %s: %w", ref, err)
	}
	metadata, _ := members["KeyMetadata"].(map[string]any)
	arn, _ := metadata["Arn"].(string)
	if arn == "" {
		return "", fmt.Errorf("--kms-key %s: the answer has no Arn", ref)
	}
	return arn, nil
}

// key is the key for a region: the one whose ARN names it, or one that is no ARN.
func (p *planner) key(r *posture.Region) string {
	for _, key := range p.Keys {
		if parts := strings.SplitN(key, ":", 6); len(parts) != 6 || parts[3] == r.Name {
			return posture.KeyRef(r.Account.Partition, r.Name, r.Account.ID, key)
		}
	}
	return ""
}

// network is the target network in a region: one private subnet of each zone, and the groups.
func (p *planner) network(ctx context.Context, r *posture.Region) (vpc string, subnets, groups []string, err error) {
	if len(p.Subnets) > 0 {
		return p.named(ctx, r)
	}
	var found []string
	for _, id := range p.VPCs {
		subnets, _, err := p.read.Network(ctx, r.Account.ID, r.Name, id)
		if err != nil {
			return "", nil, nil, err
		}
		if subnets.Why != nil {
			return "", nil, nil, fmt.Errorf("subnets of %s in %s: %s: %s", id, r.Name, subnets.Why.Code, subnets.Why.Message)
		}
		if len(subnets.Items) > 0 {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		p.refuse("NoTargetNetwork", "account %s has none of the VPCs %s with a subnet in %s", r.Account.ID, strings.Join(p.VPCs, ", "), r.Name)
		return "", nil, nil, nil
	case 1:
		return p.inVPC(ctx, r, found[0])
	default:
		p.refuse("NoTargetNetwork", "account %s has several of the VPCs in %s: %s; name one, or its --subnets", r.Account.ID, r.Name, strings.Join(found, ", "))
		return "", nil, nil, nil
	}
}

// named are the subnets and groups that were named, as far as the region has them.
func (p *planner) named(ctx context.Context, r *posture.Region) (vpc string, subnets, groups []string, err error) {
	job := hypothesis(r, "target", p.Subnets, p.Groups, "")
	if err := p.read.Assume(ctx, r.Account.ID, r.Name, []*posture.Job{job}, []string{"ec2:DescribeSubnets", "ec2:DescribeSecurityGroups"}); err != nil {
		return "", nil, nil, err
	}
	for _, id := range p.Subnets {
		s, ok := r.Subnets[id].Read()
		if why := r.Subnets[id].Why(); why != nil {
			return "", nil, nil, fmt.Errorf("subnet %s in %s: %s: %s", id, r.Name, why.Code, why.Message)
		}
		if ok && s != nil {
			subnets, vpc = append(subnets, id), s.VPC
			p.found[id] = true
		}
	}
	for _, id := range p.Groups {
		if g, ok := r.Groups[id].Read(); ok && g != nil {
			groups = append(groups, id)
			p.found[id] = true
		}
	}
	if len(subnets) == 0 || len(groups) == 0 {
		p.refuse("NoTargetNetwork", "account %s has none of the subnets or none of the security groups in %s: --subnets and --security-groups must name some of both", r.Account.ID, r.Name)
		return "", nil, nil, nil
	}
	return vpc, subnets, groups, nil
}

// inVPC takes one private subnet of each zone, the one with the most free addresses, and the groups.
func (p *planner) inVPC(ctx context.Context, r *posture.Region, vpc string) (_ string, subnets, groups []string, err error) {
	all, inside, err := p.read.Network(ctx, r.Account.ID, r.Name, vpc)
	if err != nil {
		return "", nil, nil, err
	}
	for _, why := range []*posture.Unread{all.Why, inside.Why} {
		if why != nil {
			return "", nil, nil, fmt.Errorf("network of %s in %s: %s: %s", vpc, r.Name, why.Code, why.Message)
		}
	}
	if groups = p.groups(r, vpc, inside.Items); groups == nil {
		return "", nil, nil, nil
	}
	var ids []string
	for _, s := range all.Items {
		ids = append(ids, s.ID)
	}
	closed, why, err := p.private(ctx, r, ids, groups)
	if err != nil {
		return "", nil, nil, err
	}
	best := map[string]*posture.Subnet{} // by zone
	for _, s := range all.Items {
		if b := best[s.Zone]; slices.Contains(closed, s.ID) && (b == nil || s.Free > b.Free || s.Free == b.Free && s.ID < b.ID) {
			best[s.Zone] = s
		}
	}
	for _, zone := range slices.Sorted(maps.Keys(best)) {
		subnets = append(subnets, best[zone].ID)
	}
	if len(subnets) == 0 {
		p.refuse("NoTargetNetwork", "%s in %s has no private subnet: %s", vpc, r.Name, strings.Join(why, "; "))
		return "", nil, nil, nil
	}
	if len(subnets) > mostSubnets {
		subnets = subnets[:mostSubnets]
	}
	return "one private subnet of each zone of " + vpc, subnets, groups, nil
}

// Bounds of vpcConfig.
// Source: Amazon Bedrock API Reference, VpcConfig.
const (
	mostSubnets = 16
	mostGroups  = 5
)

// groups are the groups that were named, or the only one that is not the VPC's default. Nothing is guessed.
func (p *planner) groups(r *posture.Region, vpc string, inside []*posture.SecurityGroup) []string {
	var named, others []string
	for _, g := range inside {
		if slices.Contains(p.Groups, g.ID) || slices.Contains(p.Groups, g.Name) {
			named = append(named, g.ID)
			p.found[g.ID], p.found[g.Name] = true, true
		}
		if g.Name != "default" {
			others = append(others, g.ID)
		}
	}
	slices.Sort(others)
	switch {
	case len(named) > mostGroups:
		p.refuse("NoTargetNetwork", "a job takes at most %d security groups, and --security-groups names %d of %s", mostGroups, len(named), vpc)
		return nil
	case len(named) > 0:
		return named
	case len(p.Groups) > 0:
		p.refuse("NoTargetNetwork", "%s in %s has none of the security groups %s", vpc, r.Name, strings.Join(p.Groups, ", "))
		return nil
	case len(others) == 1:
		return others
	}
	p.refuse("NoTargetNetwork", "%s in %s has %d security groups besides the default one: name --security-groups%s", vpc, r.Name, len(others), oneOf(others))
	return nil
}

func oneOf(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return " (" + strings.Join(ids, ", ") + ")"
}

// private are those subnets that have no way to the internet, as MC-NET-004 judges it, and why the others are not.
func (p *planner) private(ctx context.Context, r *posture.Region, ids, groups []string) (closed, why []string, err error) {
	rules, err := p.Audit.Pack.Choose([]string{"MC-NET-004"}, nil, nil, nil)
	if err != nil {
		return nil, nil, err
	}
	job := hypothesis(r, "target", ids, groups, "")
	if err := p.read.Assume(ctx, r.Account.ID, r.Name, []*posture.Job{job}, rules[0].AllReads()); err != nil {
		return nil, nil, err
	}
	for _, result := range posture.Evaluate(p.only(r), rules, rules) {
		switch {
		case !slices.Contains(ids, result.Name):
		case result.Status == posture.Pass:
			closed = append(closed, result.Name)
		default:
			why = append(why, result.Message)
		}
	}
	return closed, why, nil
}

// only is an inventory with nothing but one region, for hypotheses.
func (p *planner) only(r *posture.Region) *posture.Inventory {
	account := *r.Account
	account.Regions = []*posture.Region{r}
	return &posture.Inventory{Time: p.inventory.Time, Accounts: []*posture.Account{&account}}
}

// hypothesis is a job that does not exist.
func hypothesis(r *posture.Region, name string, subnets, groups []string, key string) *posture.Job {
	source := &posture.Source{Operation: getJob, Account: r.Account.ID, Region: r.Name} // as if it had been read
	detail := &posture.JobDetail{
		ARN: plannedARN(r, name), Name: name, Status: "InProgress", Subnets: subnets, Groups: groups, HasVPC: len(subnets) > 0, Key: key,
		VPC: map[string]any{"subnetIds": subnets, "securityGroupIds": groups},
	}
	return &posture.Job{ARN: detail.ARN, Name: name, Status: detail.Status, Found: &posture.Source{Operation: "bedrock:ListModelCustomizationJobs", Account: r.Account.ID, Region: r.Name}, Detail: posture.Known(detail, source)}
}

// plannedARN stands for the ARN of a job that is not there yet.
func plannedARN(r *posture.Region, name string) string {
	return "arn:" + r.Account.Partition + ":bedrock:" + r.Name + ":" + r.Account.ID + ":model-customization-job/planned/" + name
}
