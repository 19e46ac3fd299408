package posture

import (
	"maps"
	"slices"
	"strings"
)

func jobLogic() []logic {
	return []logic{
		rule("MC-JOB-001", jobs, jobInVPC),
		rule("MC-JOB-002", jobs, jobZones),
		rule("MC-JOB-003", jobs, jobNetworkExists),
		rule("MC-JOB-004", jobs, jobKey),
		rule("MC-JOB-005", jobs, jobInvocationLogs),
		rule("MC-JOB-007", jobs, jobBase),
		rule("MC-JOB-008", jobs, func(t *Trial, _ Subject, j *Job) Outcome { return requiredTags(t, "job "+j.Name, j.Tags) }),
	}
}

func jobInVPC(t *Trial, s Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	if !d.HasVPC {
		return Failed("job %s has no VPC configuration", j.Name).With("vpcConfig", d.VPC)
	}
	vpc, why := s.region().vpcOf(t, d)
	if vpc == "" {
		return Passed("job %s runs in a VPC (%s)", j.Name, why).With("vpcConfig", d.VPC)
	}
	return Passed("job %s runs in %s", j.Name, vpc).With("vpcConfig", d.VPC).With("vpcId", vpc)
}

// vpcOf looks a job's VPC up through its subnets, as far as those were read, or says why it is not known.
func (r *Region) vpcOf(t *Trial, d *JobDetail) (vpc, why string) {
	why = "its subnets were not read"
	for _, id := range d.Subnets {
		subnet, ok := Peek(t, r.Subnets[id])
		if ok && subnet != nil {
			return subnet.VPC, ""
		}
		if ok {
			why = "subnet " + id + " no longer exists"
		}
	}
	return "", why
}

func jobZones(t *Trial, s Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	if !d.HasVPC {
		return Skipped("job %s has no VPC configuration", j.Name)
	}
	zones := map[string]bool{}
	for _, id := range d.Subnets {
		if subnet, ok := Peek(t, s.region().Subnets[id]); ok && subnet != nil {
			zones[subnet.Zone] = true
		}
	}
	least := t.Int("min_azs")
	names := slices.Sorted(maps.Keys(zones))
	if len(zones) >= least {
		return Passed("job %s has subnets in %d availability zones", j.Name, len(zones)).With("availabilityZoneIds", names)
	}
	for _, id := range d.Subnets {
		Need(t, s.region().Subnets[id])
	}
	return Failed("job %s has subnets in %d of at least %d availability zones", j.Name, len(zones), least).With("availabilityZoneIds", names)
}

func jobNetworkExists(t *Trial, s Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	if !d.HasVPC {
		return Skipped("job %s has no VPC configuration", j.Name)
	}
	r := s.region()
	vpcs := map[string]bool{}
	var parts []func() Outcome
	for _, id := range d.Subnets {
		parts = append(parts, func() Outcome {
			subnet := Need(t, r.Subnets[id])
			if subnet == nil {
				return Failed("subnet %s of job %s does not exist", id, j.Name)
			}
			vpcs[subnet.VPC] = true
			return Passed("")
		})
	}
	for _, id := range d.Groups {
		parts = append(parts, func() Outcome {
			group := Need(t, r.Groups[id])
			if group == nil {
				return Failed("security group %s of job %s does not exist", id, j.Name)
			}
			vpcs[group.VPC] = true
			return Passed("")
		})
	}
	parts = append(parts, func() Outcome { // after the others have filled vpcs
		if len(vpcs) > 1 {
			return Failed("job %s names subnets and security groups of %d VPCs: %s", j.Name, len(vpcs), strings.Join(slices.Sorted(maps.Keys(vpcs)), ", "))
		}
		return Passed("subnets and security groups of job %s exist, in one VPC", j.Name)
	})
	out := All(t, parts...)
	if out.Status == Fail && d.Terminal() { // nothing runs there any more
		out.Severity = Low
	}
	return out.With("vpcConfig", d.VPC)
}

func jobKey(t *Trial, _ Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	if d.Key == "" {
		return Failed("job %s does not ask for a customer managed key: its model is under a key that AWS owns", j.Name).With("outputModelKmsKeyArn", nil)
	}
	return Passed("job %s asks for key %s", j.Name, d.Key).With("outputModelKmsKeyArn", d.Key)
}

func jobInvocationLogs(t *Trial, _ Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	if !d.InvocationLogs {
		return Passed("job %s does not train on invocation logs", j.Name).With("invocationLogsConfig", nil)
	}
	tags := Need(t, j.Tags)
	tag := t.rule.text("review_tag")
	if value := tags[tag]; value == "" {
		return Failed("job %s trains on invocation logs, and no tag %s says who reviewed them", j.Name, tag).With("invocationLogsConfig", d.LogsURI)
	}
	return Passed("job %s trains on invocation logs that tag %s says were reviewed", j.Name, tag).With("invocationLogsConfig", d.LogsURI)
}

func jobBase(t *Trial, s Subject, j *Job) Outcome {
	d := Need(t, j.Detail)
	bases := []string{d.Base}
	if d.Teacher != "" {
		bases = append(bases, d.Teacher)
	}
	return Each(t, bases, func(base string) Outcome { return approvedBase(t, s.region(), base) }).With("baseModelArn", d.Base)
}

// approvedBase looks at a base model: offered, not legacy, approved. A custom model as a base has no life cycle.
func approvedBase(t *Trial, r *Region, base string) Outcome {
	approved := t.Strings("approved_base_models")
	if len(approved) > 0 && !slices.ContainsFunc(approved, func(a string) bool { return a == base || strings.HasSuffix(base, "/"+a) }) {
		return Failed("base model %s is not approved", base)
	}
	if !isFoundationModel(base) {
		return Passed("base model %s is a custom model, which has no life cycle", base)
	}
	model := Need(t, r.Bases[base])
	switch {
	case model == nil:
		return Failed("base model %s is no longer offered", base)
	case model.Lifecycle == "LEGACY":
		return Failed("base model %s is LEGACY", base)
	}
	return Passed("base model %s is %s", base, model.Lifecycle)
}

func isFoundationModel(arn string) bool { return strings.Contains(arn, ":foundation-model/") }

func requiredTags(t *Trial, what string, tags Datum[map[string]string]) Outcome {
	have := Need(t, tags)
	var missing []string
	for _, key := range t.Strings("required_tags") {
		if have[key] == "" {
			missing = append(missing, key)
		}
	}
	if len(missing) > 0 {
		return Failed("%s lacks the tags %s", what, strings.Join(missing, ", ")).With("missingTags", missing)
	}
	return Passed("%s has the required tags", what)
}
