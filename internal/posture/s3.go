package posture

import (
	"slices"
	"strings"
)

func s3Logic() []logic {
	return []logic{
		rule("MC-S3-001", buckets(), bucketNotPublic),
		rule("MC-S3-002", buckets(), bucketBlocksPublic),
		rule("MC-S3-003", buckets(), bucketKey),
		rule("MC-S3-005", buckets("training", "validation"), bucketVersions),
		rule("MC-S3-006", buckets(), bucketLogs),
		rule("MC-S3-007", buckets(), bucketOwner),
		rule("MC-S3-015", buckets(), bucketExists),
	}
}

// buckets are the buckets that are used for one of the purposes, or all, and gaps for what could name one and is unread.
func buckets(purposes ...string) func(*Account) []Subject {
	return func(a *Account) []Subject {
		found := a.each(func(r *Region) []Subject { return bucketGaps(r, len(purposes) == 0) })
		for _, name := range sortedKeys(a.Buckets) {
			b := a.Buckets[name]
			for _, purpose := range sortedKeys(b.Uses) {
				if len(purposes) == 0 || slices.Contains(purposes, purpose) {
					s := bucketSubject(a, b)
					s.Found = b.Uses[purpose]
					found = append(found, s)
					break
				}
			}
		}
		return found
	}
}

func bucketGaps(r *Region, all bool) []Subject {
	_, gaps := r.refs(func(*JobDetail) []string { return nil })
	if !all {
		return gaps
	}
	gaps = append(gaps, unreadDetails(r, r.ImportJobs, func(j *ImportJob) (Subject, *Unread) {
		return r.subject(TypeImportJob, j.ARN, j.Name, j), j.Detail.Why()
	})...)
	if why := r.Logging.Why(); why != nil {
		gaps = append(gaps, r.gap(why))
	}
	return gaps
}

func bucketSubject(a *Account, b *Bucket) Subject {
	return Subject{
		ARN: bucketARN(a.Partition, b.Name), Name: b.Name, Type: TypeBucket, Account: a, Region: "global",
		Jobs: b.Jobs, value: b,
	}
}

func bucketARN(partition, name string) string { return "arn:" + partition + ":s3:::" + name }

// blocked says whether a flag of Block Public Access is on, at the bucket or at the account.
func blocked(t *Trial, s Subject, b *Bucket, name string, flag func(*PublicAccess) bool) Outcome {
	at := func(d Datum[*PublicAccess], where string) func() Outcome {
		return func() Outcome {
			if p := Need(t, d); p != nil && flag(p) {
				return Passed("%s is on at the %s", name, where)
			}
			return Failed("%s is off for bucket %s", name, b.Name)
		}
	}
	account := s.Account.PublicAccess
	if Need(t, b.Owner) != s.Account.ID { // somebody else's account blocks, or does not
		account = b.PublicAccess
	}
	return Either(t, at(b.PublicAccess, "bucket"), at(account, "account"))
}

func bucketNotPublic(t *Trial, s Subject, b *Bucket) Outcome {
	Need(t, b.Owner)         // whose account's block counts
	there(t, b.PublicAccess) // the account's setting says nothing of a bucket that is not there
	return All(t,
		func() Outcome {
			return Either(t, func() Outcome {
				if Need(t, b.PolicyPublic) {
					return Failed("the policy of bucket %s makes it public", b.Name).With("policyStatus.isPublic", true)
				}
				return Passed("the policy of bucket %s is not public", b.Name).With("policyStatus.isPublic", false)
			}, func() Outcome {
				return overruled(b.PolicyPublic, blocked(t, s, b, "RestrictPublicBuckets", func(p *PublicAccess) bool { return p.RestrictBuckets }))
			})
		},
		func() Outcome {
			return Either(t, func() Outcome {
				if everybody := Need(t, b.ACLPublic); len(everybody) > 0 {
					return Failed("the ACL of bucket %s grants to %s", b.Name, strings.Join(everybody, ", ")).With("aclGrantees", everybody)
				}
				return Passed("the ACL of bucket %s grants to nobody else", b.Name)
			}, func() Outcome {
				return overruled(b.ACLPublic, blocked(t, s, b, "IgnorePublicAcls", func(p *PublicAccess) bool { return p.IgnoreACLs }))
			})
		},
	)
}

// overruled is what Block Public Access says of access that exposed tells. Where the endpoint does not serve that, nothing
// is known to be public, and nothing fails for not being overruled.
func overruled[T any](exposed Datum[T], block Outcome) Outcome {
	if exposed.state == unserved && block.Status == Fail {
		return Skipped("this endpoint does not serve %s", exposed.source.Operation)
	}
	return block
}

func bucketBlocksPublic(t *Trial, s Subject, b *Bucket) Outcome {
	Need(t, b.Owner) // whose account's block counts
	there(t, b.PublicAccess)
	flags := []struct {
		name string
		flag func(*PublicAccess) bool
	}{
		{"BlockPublicAcls", func(p *PublicAccess) bool { return p.BlockACLs }},
		{"IgnorePublicAcls", func(p *PublicAccess) bool { return p.IgnoreACLs }},
		{"BlockPublicPolicy", func(p *PublicAccess) bool { return p.BlockPolicy }},
		{"RestrictPublicBuckets", func(p *PublicAccess) bool { return p.RestrictBuckets }},
	}
	parts := make([]func() Outcome, len(flags))
	for i, one := range flags {
		parts[i] = func() Outcome { return blocked(t, s, b, one.name, one.flag) }
	}
	return All(t, parts...)
}

func bucketKey(t *Trial, s Subject, b *Bucket) Outcome {
	e := Need(t, b.Encryption)
	switch {
	case e == nil || !strings.HasPrefix(e.Algorithm, "aws:kms"):
		algorithm := "nothing of its own"
		if e != nil {
			algorithm = e.Algorithm
		}
		return Failed("bucket %s encrypts with %s, not with a customer managed key", b.Name, algorithm).With("sseAlgorithm", algorithm)
	case e.Key == "":
		return Failed("bucket %s encrypts with the key that AWS manages for Amazon S3", b.Name).With("sseAlgorithm", e.Algorithm)
	}
	key := s.Account.key(e.Key, b.Region)
	if key == nil {
		key = &Key{Ref: e.Key}
	}
	d := Need(t, key.Detail)
	switch {
	case d == nil:
		return Failed("bucket %s encrypts with key %s, which does not exist", b.Name, e.Key).With("kmsMasterKeyId", e.Key)
	case d.Manager != "CUSTOMER":
		return Failed("bucket %s encrypts with key %s, which AWS manages", b.Name, e.Key).With("kmsMasterKeyId", e.Key)
	}
	return Passed("bucket %s encrypts with customer managed key %s", b.Name, d.ARN).With("kmsMasterKeyId", e.Key)
}

// key finds a key by how it was named; region is where a name without ARN belongs.
func (a *Account) key(ref, region string) *Key {
	ref = KeyRef(a.Partition, region, a.ID, ref)
	parts := strings.SplitN(ref, ":", 6)
	if len(parts) != 6 {
		return nil
	}
	if r := a.region(parts[3]); r != nil {
		return r.Keys[ref]
	}
	return nil
}

func bucketVersions(t *Trial, _ Subject, b *Bucket) Outcome {
	status := Need(t, b.Versioning)
	if status != "Enabled" {
		return Failed("bucket %s, which holds training data, keeps no versions", b.Name).With("versioning", status)
	}
	return Passed("bucket %s keeps versions", b.Name).With("versioning", status)
}

func bucketLogs(t *Trial, s Subject, b *Bucket) Outcome {
	return Either(t, func() Outcome {
		target := Need(t, b.LogsTo)
		if target == "" {
			return Failed("bucket %s writes no server access logs", b.Name)
		}
		return Passed("bucket %s writes server access logs to %s", b.Name, target).With("targetBucket", target)
	}, func() Outcome { return dataEvents(t, s, b) })
}

func bucketOwner(t *Trial, s Subject, b *Bucket) Outcome {
	owner := Need(t, b.Owner)
	if !trusted(t, s, owner) {
		return Failed("bucket %s belongs neither to account %s nor to a trusted one", b.Name, s.Account.ID)
	}
	return Passed("bucket %s belongs to account %s", b.Name, owner).With("owner", owner)
}

// trusted says that an owner that a probe confirmed is the audited account or one that the rule trusts.
func trusted(t *Trial, s Subject, owner string) bool {
	return owner == s.Account.ID || owner != "" && slices.Contains(t.Strings("trusted_accounts"), owner)
}

func bucketExists(t *Trial, _ Subject, b *Bucket) Outcome {
	if !Need(t, b.Exists) {
		return Failed("bucket %s, which is named for %s, does not exist: whoever creates it feeds or receives the next run", b.Name, strings.Join(sortedKeys(b.Uses), ", "))
	}
	return Passed("bucket %s exists", b.Name)
}
