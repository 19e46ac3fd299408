package posture

import (
	"maps"
	"slices"
	"strings"
)

func kmsLogic() []logic {
	return []logic{
		rule("MC-KMS-001", keys, keyCustomer),
		rule("MC-KMS-002", keys, keyUsable),
		rule("MC-KMS-003", keys, keyRotates),
		rule("MC-KMS-009", keys, keyGrants),
	}
}

// keys are the KMS keys that jobs, models, copies, log groups and buckets name, in the region of the key, and gaps for
// everything unread that could name one.
func keys(a *Account) []Subject {
	var gaps []Subject
	for _, name := range sortedKeys(a.Buckets) {
		b := a.Buckets[name]
		if why := b.Encryption.Why(); why != nil {
			s := bucketSubject(a, b)
			s.why = why
			gaps = append(gaps, s)
		}
	}
	gaps = append(gaps, a.each(func(r *Region) []Subject {
		_, gaps := r.refs(func(*JobDetail) []string { return nil })
		gaps = append(gaps, unreadDetails(r, r.Models, func(m *Model) (Subject, *Unread) { return modelSubject(r, m), m.Detail.Why() })...)
		gaps = append(gaps, unreadDetails(r, r.ImportedModels, func(m *ImportedModel) (Subject, *Unread) {
			return r.subject(TypeImported, m.ARN, m.Name, m), m.Detail.Why()
		})...)
		gaps = append(gaps, unreadDetails(r, r.ImportJobs, func(j *ImportJob) (Subject, *Unread) { // they name buckets, which name keys
			return r.subject(TypeImportJob, j.ARN, j.Name, j), j.Detail.Why()
		})...)
		if r.Copies.Why != nil {
			gaps = append(gaps, r.gap(r.Copies.Why))
		}
		if why := r.Logging.Why(); why != nil {
			gaps = append(gaps, r.gap(why))
		}
		for _, name := range sortedKeys(r.LogGroups) {
			if why := r.LogGroups[name].Why(); why != nil {
				gaps = append(gaps, r.gap(why))
			}
		}
		return gaps
	})...)
	at := map[string]int{} // a key that is named by alias and by ARN is one key
	for _, r := range slices.Concat(a.Regions, a.Beyond) {
		for _, ref := range sortedKeys(r.Keys) {
			s := keySubject(r, r.Keys[ref])
			if i, known := at[s.ARN]; known {
				jobs := append(slices.Clone(gaps[i].Jobs), s.Jobs...)
				slices.Sort(jobs)
				gaps[i].Jobs = slices.Compact(jobs)
				continue
			}
			at[s.ARN] = len(gaps)
			gaps = append(gaps, s)
		}
	}
	return gaps
}

// KeyRef is the ARN of a key or alias that something in a region names by id, alias or ARN.
func KeyRef(partition, region, account, ref string) string {
	switch {
	case ref == "" || strings.HasPrefix(ref, "arn:"):
		return ref
	case strings.HasPrefix(ref, "alias/"):
		return "arn:" + partition + ":kms:" + region + ":" + account + ":" + ref
	default:
		return "arn:" + partition + ":kms:" + region + ":" + account + ":key/" + ref
	}
}

func keySubject(r *Region, k *Key) Subject {
	arn := k.Ref
	if d, ok := k.Detail.Read(); ok && d != nil {
		arn = d.ARN
	}
	s := r.subject(TypeKey, arn, arn[strings.LastIndexByte(arn, '/')+1:], k)
	s.Found, s.Jobs = k.Found, k.Jobs
	return s
}

// unreadDetails are gaps for a listing that broke off and for the items whose record was not read.
func unreadDetails[T any](r *Region, l List[T], detail func(T) (Subject, *Unread)) []Subject {
	var gaps []Subject
	if l.Why != nil {
		gaps = append(gaps, r.gap(l.Why))
	}
	for _, item := range l.Items {
		if s, why := detail(item); why != nil {
			s.why = why
			gaps = append(gaps, s)
		}
	}
	return gaps
}

// exists is a key that must be there: nil is a FAIL of MC-KMS-002 and of no other rule.
func exists(t *Trial, k *Key) *KeyDetail {
	d := Need(t, k.Detail)
	if d == nil {
		panic(stopped{Skipped("key %s does not exist: see MC-KMS-002", k.Ref)})
	}
	return d
}

func keyCustomer(t *Trial, s Subject, k *Key) Outcome {
	d := exists(t, k)
	trusted := append([]string{s.Account.ID}, t.Strings("trusted_accounts")...)
	switch {
	case d.Manager != "CUSTOMER":
		return Failed("key %s is managed by AWS", d.ARN).With("keyManager", d.Manager)
	case d.Spec != "SYMMETRIC_DEFAULT" || d.Usage != "ENCRYPT_DECRYPT":
		return Failed("key %s is not a symmetric encryption key: %s for %s", d.ARN, d.Spec, d.Usage).With("keySpec", d.Spec)
	case !slices.Contains(trusted, d.Account):
		return Failed("key %s belongs to account %s, which is not trusted", d.ARN, d.Account).With("account", d.Account)
	}
	return Passed("key %s is a customer managed symmetric key", d.ARN).With("keyManager", d.Manager)
}

func keyUsable(t *Trial, _ Subject, k *Key) Outcome {
	d := Need(t, k.Detail)
	if d == nil {
		return Failed("key %s does not exist: what it encrypted cannot be read any more", k.Ref)
	}
	if d.State != "Enabled" {
		return Failed("key %s is %s: what it encrypted cannot be used", d.ARN, d.State).With("keyState", d.State)
	}
	return Passed("key %s is enabled", d.ARN).With("keyState", d.State)
}

func keyRotates(t *Trial, _ Subject, k *Key) Outcome {
	d := exists(t, k)
	if d.Manager != "CUSTOMER" || d.Origin != "AWS_KMS" || d.Spec != "SYMMETRIC_DEFAULT" {
		return Skipped("key %s cannot rotate by itself (%s, %s, origin %s)", d.ARN, d.Manager, d.Spec, d.Origin)
	}
	if !Need(t, k.Rotation) {
		return Failed("key %s does not rotate", d.ARN).With("keyRotationEnabled", false)
	}
	return Passed("key %s rotates", d.ARN).With("keyRotationEnabled", true)
}

func keyGrants(t *Trial, s Subject, k *Key) Outcome {
	d := exists(t, k)
	if d.Manager != "CUSTOMER" {
		return Skipped("key %s is managed by AWS", d.ARN)
	}
	r := s.region()
	grants := NeedServed(t, k.Grants, "kms:ListGrants")
	out := Each(t, grants, func(g Grant) Outcome {
		if !slices.Contains(t.Strings("known_grantees"), g.Grantee) {
			return Failed("grant %s of key %s is held by %s", g.ID, d.ID, g.Grantee)
		}
		for _, name := range slices.Sorted(maps.Keys(g.Context)) {
			if why := orphan(t, r, g.Context[name]); why != "" {
				return Failed("grant %s of key %s is for %s", g.ID, d.ID, why)
			}
		}
		return Passed("the %d grants of key %s are known", len(grants), d.ID)
	})
	if len(grants) == 0 {
		out = Passed("key %s has no grants", d.ID)
	}
	return out.With("grants", len(grants))
}

// orphan says that an ARN names a job or model of the account that does not exist, or "".
func orphan(t *Trial, r *Region, arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "bedrock" || parts[4] != r.Account.ID {
		return ""
	}
	home := r.Account.region(parts[3])
	if home == nil || !slices.Contains(r.Account.Regions, home) { // it was not chosen: its jobs were not read
		why := &Unread{Source: Source{Operation: "kms:ListGrants", Account: r.Account.ID, Region: r.Name}, Code: CodeNotChosen, Message: "the region of " + arn + " was not chosen"}
		panic(stopped{Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}})
	}
	switch {
	case strings.HasPrefix(parts[5], "model-customization-job/") && home.job(arn) == nil:
		NeedServed(t, home.Jobs, "bedrock:ListModelCustomizationJobs")
		return "a job that does not exist: " + arn
	case strings.HasPrefix(parts[5], "custom-model/") && home.model(arn) == nil:
		NeedServed(t, home.Models, "bedrock:ListCustomModels")
		return "a model that does not exist: " + arn
	}
	return ""
}
