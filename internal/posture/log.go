package posture

import (
	"slices"
	"strings"
)

func logLogic() []logic {
	return []logic{
		rule("MC-LOG-001", modelRegions, invocationLogging),
		rule("MC-LOG-002", logStores, logStore),
		rule("MC-LOG-003", workRegions, trails),
		rule("MC-LOG-004", buckets("training", "validation", "output"), dataEvents),
	}
}

func regionSubject(r *Region, found *Source) Subject {
	s := r.subject(TypeRegion, r.arn("bedrock", "*"), r.Name, r)
	s.Found = found
	return s
}

// modelRegions are the regions that have custom or imported models.
func modelRegions(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		switch {
		case len(r.Models.Items) > 0:
			return []Subject{regionSubject(r, r.Models.source())}
		case len(r.ImportedModels.Items) > 0:
			return []Subject{regionSubject(r, r.ImportedModels.source())}
		case r.Models.Why != nil:
			return []Subject{r.gap(r.Models.Why)}
		case r.ImportedModels.Why != nil:
			return []Subject{r.gap(r.ImportedModels.Why)}
		}
		return nil
	})
}

// workRegions are the regions that have jobs or custom models.
func workRegions(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		switch {
		case len(r.Jobs.Items) > 0:
			return []Subject{regionSubject(r, r.Jobs.source())}
		case len(r.Models.Items) > 0:
			return []Subject{regionSubject(r, r.Models.source())}
		case r.Jobs.Why != nil:
			return []Subject{r.gap(r.Jobs.Why)}
		case r.Models.Why != nil:
			return []Subject{r.gap(r.Models.Why)}
		}
		return nil
	})
}

func invocationLogging(t *Trial, _ Subject, r *Region) Outcome {
	l := Need(t, r.Logging)
	if l == nil || l.LogGroup == "" && l.Bucket == "" {
		return Failed("model invocations in %s are not logged", r.Name).With("loggingConfig", nil)
	}
	return Passed("model invocations in %s are logged to %s", r.Name, strings.Trim(l.LogGroup+" "+l.Bucket, " ")).With("loggingConfig", l)
}

// store is where invocation logs lie: a log group or a bucket.
type store struct {
	region *Region
	group  string
	bucket string
}

func logStores(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		if why := r.Logging.Why(); why != nil {
			return []Subject{r.gap(why)}
		}
		l, ok := r.Logging.Read()
		if !ok || l == nil {
			return nil
		}
		var found []Subject
		if l.LogGroup != "" {
			s := r.subject(TypeLogGroup, r.arn("logs", "log-group:"+l.LogGroup), l.LogGroup, store{region: r, group: l.LogGroup})
			s.Found = r.Logging.Source()
			found = append(found, s)
		}
		names := []string{l.Bucket, l.LargeBucket}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if name != "" {
				s := r.subject(TypeBucket, bucketARN(a.Partition, name), name, store{region: r, bucket: name})
				s.Found = r.Logging.Source()
				found = append(found, s)
			}
		}
		return found
	})
}

func logStore(t *Trial, s Subject, st store) Outcome {
	if st.group != "" {
		g := Need(t, st.region.LogGroups[st.group])
		switch {
		case g == nil:
			return Failed("log group %s does not exist: invocation logs are lost", st.group)
		case g.Key == "":
			return Failed("log group %s is not under a customer managed key", st.group).With("kmsKeyId", nil)
		case g.RetentionDays == 0:
			return Failed("log group %s keeps invocation logs for ever", st.group).With("retentionInDays", nil)
		}
		return Passed("log group %s is under key %s and keeps logs for %d days", st.group, g.Key, g.RetentionDays).With("retentionInDays", g.RetentionDays)
	}
	b := s.Account.Buckets[st.bucket]
	if b == nil {
		b = &Bucket{Name: st.bucket}
	}
	Need(t, b.Owner) // whose account's block counts
	return All(t,
		func() Outcome { return bucketNotPublic(t, s, b) },
		func() Outcome {
			e := Need(t, b.Encryption)
			if e == nil || !strings.HasPrefix(e.Algorithm, "aws:kms") || e.Key == "" {
				return Failed("bucket %s, which holds invocation logs, does not encrypt with a customer managed key", b.Name)
			}
			return Passed("bucket %s encrypts with key %s", b.Name, e.Key)
		},
	)
}

func trails(t *Trial, _ Subject, r *Region) Outcome {
	var parts []func() Outcome
	for _, trail := range r.Trails.Items {
		parts = append(parts, func() Outcome {
			t.saw(trail.Found)
			switch {
			case !trail.MultiRegion:
				return Failed("trail %s is of one region", trail.Name)
			case !trail.Validation:
				return Failed("trail %s does not validate its log files", trail.Name)
			}
			return All(t,
				func() Outcome { return delivers(t, trail) },
				func() Outcome { return manages(trail, Need(t, trail.Selectors)) },
			)
		})
	}
	parts = append(parts, func() Outcome {
		NeedServed(t, r.Trails, "cloudtrail:DescribeTrails")
		return Failed("no trail records all management events of %s", r.Name)
	})
	return Any(t, parts...)
}

// delivers says whether a trail records, and its files arrive.
func delivers(t *Trial, trail *Trail) Outcome {
	switch status := Need(t, trail.Status); {
	case !status.Logging:
		return Failed("trail %s does not log", trail.Name)
	case status.DeliveryError != "":
		return Failed("trail %s cannot deliver its log files: %s", trail.Name, status.DeliveryError).With("latestDeliveryError", status.DeliveryError)
	}
	return Passed("trail %s logs", trail.Name)
}

// manages says whether a trail's selectors record all management events.
func manages(trail *Trail, selectors *Selectors) Outcome {
	uncertain := false
	for _, events := range []Management{selectors.Reads, selectors.Writes} {
		switch {
		case events.All():
		case events.Uncertain:
			uncertain = true
		case events.Recorded:
			return Failed("trail %s leaves out the management events of %s", trail.Name, strings.Join(events.Excluded, " and "))
		default:
			return Failed("trail %s does not record all management events", trail.Name)
		}
	}
	if uncertain {
		return unevaluated(trail)
	}
	return Passed("trail %s records all management events of all regions", trail.Name)
}

// unevaluated is the ERROR of a trail whose selectors have conditions that are not understood.
func unevaluated(trail *Trail) Outcome {
	why := &Unread{Source: *trail.Selectors.Source(), Code: CodeNeedsEvaluator, Message: "the advanced event selectors of trail " + trail.Name + " have conditions that are not evaluated"}
	return Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}
}

// dataEvents says whether a trail records who reads and writes a bucket's objects.
func dataEvents(t *Trial, s Subject, b *Bucket) Outcome {
	if !Need(t, b.Exists) { // its region comes with it
		return Skipped("bucket %s does not exist: see MC-S3-015", b.Name)
	}
	r := s.Account.region(b.Region)
	if r == nil {
		why := &Unread{Source: *b.Exists.Source(), Code: CodeNotCollected, Message: "the trails of " + b.Region + " were not read: the region was not chosen"}
		return Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}
	}
	prefix := bucketARN(s.Account.Partition, b.Name) + "/"
	var parts []func() Outcome
	for _, trail := range r.Trails.Items {
		parts = append(parts, func() Outcome {
			t.saw(trail.Found)
			return All(t,
				func() Outcome { return delivers(t, trail) },
				func() Outcome { return covers(trail, Need(t, trail.Selectors), prefix) },
			)
		})
	}
	parts = append(parts, func() Outcome {
		NeedServed(t, r.Trails, "cloudtrail:DescribeTrails")
		return Failed("no trail records reads and writes of the objects of bucket %s", b.Name)
	})
	return Any(t, parts...)
}

// covers says whether a trail's selectors record all events of the objects below prefix.
func covers(trail *Trail, selectors *Selectors, prefix string) Outcome {
	var reads, writes, uncertain bool
	for _, d := range selectors.Data {
		if !slices.ContainsFunc(d.Prefixes, func(p string) bool { return strings.HasPrefix(prefix, p) }) {
			continue
		}
		if !d.Certain {
			uncertain = true
			continue
		}
		reads = reads || d.ReadWrite != "WriteOnly"
		writes = writes || d.ReadWrite != "ReadOnly"
	}
	switch {
	case reads && writes:
		return Passed("trail %s records reads and writes of %s", trail.Name, prefix)
	case uncertain:
		return unevaluated(trail)
	}
	return Failed("trail %s does not record the objects of %s", trail.Name, prefix)
}

func (a *Account) region(name string) *Region {
	for _, regions := range [][]*Region{a.Regions, a.Beyond} {
		for _, r := range regions {
			if r.Name == name {
				return r
			}
		}
	}
	return nil
}
