package posture

import "strings"

func impLogic() []logic {
	return []logic{
		rule("MC-IMP-001", importJobs, importInVPC),
		rule("MC-IMP-002", importedModels, importedKey),
		rule("MC-IMP-003", importJobs, importSource),
	}
}

func importInVPC(t *Trial, _ Subject, j *ImportJob) Outcome {
	d := Need(t, j.Detail)
	if !d.HasVPC {
		return Failed("import job %s has no VPC configuration", j.Name).With("vpcConfig", d.VPC)
	}
	return Passed("import job %s runs in a VPC", j.Name).With("vpcConfig", d.VPC)
}

func importedKey(t *Trial, _ Subject, m *ImportedModel) Outcome {
	d := Need(t, m.Detail)
	if d.Key == "" {
		return Failed("imported model %s is under a key that AWS owns", m.Name).With("modelKmsKeyArn", nil)
	}
	return Passed("imported model %s is under key %s", m.Name, d.Key).With("modelKmsKeyArn", d.Key)
}

func importSource(t *Trial, s Subject, j *ImportJob) Outcome {
	d := Need(t, j.Detail)
	name, _ := SplitURI(d.Source)
	if name == "" {
		return Skipped("import job %s does not read from Amazon S3", j.Name)
	}
	b := s.Account.Buckets[name]
	if b == nil {
		b = &Bucket{Name: name}
	}
	return All(t,
		func() Outcome {
			if !trusted(t, s, Need(t, b.Owner)) {
				return Failed("import job %s read from bucket %s, which belongs to a stranger", j.Name, name)
			}
			return Passed("")
		},
		func() Outcome {
			if Need(t, b.Versioning) != "Enabled" {
				return Failed("import job %s read from bucket %s, which keeps no versions", j.Name, name)
			}
			return Passed("")
		},
		func() Outcome {
			if len(d.Changed.Items) > 0 {
				o := d.Changed.Items[0]
				for _, page := range d.Changed.Pages {
					t.saw(page)
				}
				return Failed("object %s was changed after import job %s read it", o.Key, j.Name).With("lastModified", o.Modified)
			}
			NeedServed(t, d.Changed, "s3:ListObjectsV2")
			if d.Seen == 0 {
				return Failed("nothing is left of what import job %s read from %s", j.Name, d.Source)
			}
			return Passed("the %d objects that import job %s read are unchanged, in a versioned bucket of a known account", d.Seen, j.Name)
		},
	).With("s3Uri", d.Source)
}

// SplitURI takes an S3 URI apart; the bucket is "" if it is none.
func SplitURI(uri string) (bucket, key string) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	if !ok {
		return "", ""
	}
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key
}
