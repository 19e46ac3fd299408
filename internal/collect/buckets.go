package collect

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	endpoints "github.com/aws/smithy-go/endpoints"

	"example.com/cloister/internal/posture"
)

// bucketUses finds the buckets that the account's jobs, imports and settings name, and the region that names them first.
func (a *account) bucketUses() map[string]*region {
	homes := map[string]*region{}
	for _, g := range a.regions {
		use := func(uri, purpose, job string, found *posture.Source) {
			name, _ := posture.SplitURI(uri)
			if name == "" {
				return
			}
			b, ok := a.inv.Buckets[name]
			if !ok {
				b = &posture.Bucket{Name: name, Uses: map[string]*posture.Source{}}
				a.inv.Buckets[name] = b
				homes[name] = g
			}
			if _, known := b.Uses[purpose]; !known {
				b.Uses[purpose] = found
			}
			if job != "" && (len(b.Jobs) == 0 || b.Jobs[len(b.Jobs)-1] != job) {
				b.Jobs = append(b.Jobs, job)
			}
		}
		for _, j := range g.inv.Jobs.Items {
			d, ok := j.Detail.Read()
			if !ok {
				continue
			}
			use(d.Training, "training", j.Name, j.Detail.Source())
			use(d.LogsURI, "training", j.Name, j.Detail.Source())
			for _, uri := range d.Validation {
				use(uri, "validation", j.Name, j.Detail.Source())
			}
			use(d.Output, "output", j.Name, j.Detail.Source())
		}
		for _, j := range g.inv.ImportJobs.Items {
			if d, ok := j.Detail.Read(); ok {
				use(d.Source, "import", "", j.Detail.Source())
			}
		}
		if l, ok := g.inv.Logging.Read(); ok && l != nil {
			for _, name := range []string{l.Bucket, l.LargeBucket} {
				if name != "" {
					use("s3://"+name, "invocation-logs", "", g.inv.Logging.Source())
				}
			}
		}
	}
	return homes
}

// readBuckets reads the buckets, then the keys and trails that they need.
func (a *account) readBuckets(ctx context.Context) {
	homes := a.bucketUses()
	if len(homes) == 0 {
		return
	}
	all(
		func() { a.inv.PublicAccess = a.regions[0].accountPublicAccess(ctx) },
		func() {
			each(slices.Sorted(maps.Keys(homes)), func(name string) { a.readBucket(ctx, homes[name], a.inv.Buckets[name]) })
		},
		func() { a.readImportObjects(ctx) },
	)
	var beyond []*region
	keys := map[string]*keyUse{}
	for _, name := range slices.Sorted(maps.Keys(a.inv.Buckets)) {
		b := a.inv.Buckets[name]
		if b.Region == "" {
			continue
		}
		if g := a.reach(b.Region); !slices.Contains(beyond, g) {
			beyond = append(beyond, g)
		}
		e, ok := b.Encryption.Read()
		if !ok || e == nil || e.Key == "" {
			continue
		}
		ref := posture.KeyRef(a.inv.Partition, b.Region, a.inv.ID, e.Key)
		if u, known := keys[ref]; known {
			u.jobs = append(u.jobs, b.Jobs...)
			continue
		}
		keys[ref] = &keyUse{slices.Clone(b.Jobs), b.Encryption.Source()}
	}
	each(slices.Sorted(maps.Keys(keys)), func(ref string) { a.regions[0].keyRegion(ref).readKey(ctx, ref, keys[ref]) })
	each(beyond, func(g *region) { g.readTrails(ctx) })
}

// s3 is the region's client; a foreign endpoint has no names of its own for buckets.
func (g *region) s3() *s3.Client {
	g.s3once.Do(func() {
		g.s3client = s3.NewFromConfig(g.config("s3"), func(o *s3.Options) {
			o.BaseEndpoint = g.base("s3", o.BaseEndpoint)
			o.UsePathStyle = o.BaseEndpoint != nil && !isAWS(*o.BaseEndpoint)
			o.DisableLogOutputChecksumValidationSkipped = true
		})
	})
	return g.s3client
}

func (a *account) readBucket(ctx context.Context, g *region, b *posture.Bucket) {
	g = a.probe(ctx, g, b)
	what := "bucket " + b.Name + " does not exist: see MC-S3-015"
	if exists, ok := b.Exists.Read(); ok && !exists {
		source := b.Exists.Source()
		b.Owner, b.PublicAccess, b.PolicyPublic = posture.Gone[string](source, what), posture.Gone[*posture.PublicAccess](source, what), posture.Gone[bool](source, what)
		b.ACLPublic, b.Encryption = posture.Gone[[]string](source, what), posture.Gone[*posture.Encryption](source, what)
		b.Versioning, b.LogsTo = posture.Gone[string](source, what), posture.Gone[string](source, what)
		return
	}
	c, name := g.s3(), &b.Name
	all(
		func() {
			b.PublicAccess = gone(absent(datum(call(ctx, g, "s3:GetPublicAccessBlock", b.Name, c.GetPublicAccessBlock, &s3.GetPublicAccessBlockInput{Bucket: name}),
				func(out *s3.GetPublicAccessBlockOutput) (*posture.PublicAccess, error) {
					var t taker
					p := out.PublicAccessBlockConfiguration
					if p == nil {
						t.fail("the answer lacks PublicAccessBlockConfiguration")
						return nil, t.err
					}
					return takePublicAccess(&t, p.BlockPublicAcls, p.IgnorePublicAcls, p.BlockPublicPolicy, p.RestrictPublicBuckets)
				}), nil, "NoSuchPublicAccessBlockConfiguration"), what, "NoSuchBucket")
		},
		func() {
			b.PolicyPublic = gone(absent(datum(call(ctx, g, "s3:GetBucketPolicyStatus", b.Name, c.GetBucketPolicyStatus, &s3.GetBucketPolicyStatusInput{Bucket: name}),
				func(out *s3.GetBucketPolicyStatusOutput) (bool, error) {
					var t taker
					if out.PolicyStatus == nil {
						t.fail("the answer lacks PolicyStatus")
						return false, t.err
					}
					return t.boolean("PolicyStatus.IsPublic", out.PolicyStatus.IsPublic), t.err
				}), false, "NoSuchBucketPolicy"), what, "NoSuchBucket")
		},
		func() {
			b.ACLPublic = gone(datum(call(ctx, g, "s3:GetBucketAcl", b.Name, c.GetBucketAcl, &s3.GetBucketAclInput{Bucket: name}), takeACL), what, "NoSuchBucket")
		},
		func() {
			b.Encryption = gone(absent(datum(call(ctx, g, "s3:GetBucketEncryption", b.Name, c.GetBucketEncryption, &s3.GetBucketEncryptionInput{Bucket: name}), takeEncryption),
				nil, "ServerSideEncryptionConfigurationNotFoundError"), what, "NoSuchBucket")
		},
		func() {
			b.Versioning = gone(datum(call(ctx, g, "s3:GetBucketVersioning", b.Name, c.GetBucketVersioning, &s3.GetBucketVersioningInput{Bucket: name}),
				func(out *s3.GetBucketVersioningOutput) (string, error) {
					var t taker
					return maybe(&t, "Status", out.Status, out.Status.Values()), t.err
				}), what, "NoSuchBucket")
		},
		func() {
			b.LogsTo = gone(datum(call(ctx, g, "s3:GetBucketLogging", b.Name, c.GetBucketLogging, &s3.GetBucketLoggingInput{Bucket: name}),
				func(out *s3.GetBucketLoggingOutput) (string, error) {
					if out.LoggingEnabled == nil {
						return "", nil
					}
					var t taker
					return t.str("LoggingEnabled.TargetBucket", out.LoggingEnabled.TargetBucket), t.err
				}), what, "NoSuchBucket")
		},
	)
}

// probe finds out whether a bucket exists, where it lies and whose it is, and returns the reader of its region. HEAD answers
// 404 for a bucket that nobody has; 403 both for a stranger's and for want of permission, so a 403 with the expected owner
// counts as a stranger's only when the same question without it is answered.
func (a *account) probe(ctx context.Context, g *region, b *posture.Bucket) *region {
	head := func(owner string) answer[s3.HeadBucketOutput] {
		in := &s3.HeadBucketInput{Bucket: &b.Name}
		resource := b.Name
		if owner != "" {
			in.ExpectedBucketOwner = &owner
			resource += " of " + owner
		}
		return headIn(ctx, &g, b, resource, in)
	}
	owned := head(a.inv.ID)
	switch {
	case owned.skipped:
		b.Region = g.name // not asked; where it was named
		return g
	case owned.unserved:
		b.Exists, b.Owner, b.Region = posture.Unserved[bool](owned.source), posture.Unserved[string](owned.source), g.name
		return g
	case owned.why == nil:
		b.Exists, b.Owner = posture.Known(true, owned.source), posture.Known(a.inv.ID, owned.source)
		return g
	case isMissing(owned.why):
		b.Exists = posture.Known(false, owned.source)
		return g
	case !isForbidden(owned.why):
		b.Exists, b.Owner = posture.Missing[bool](owned.why), posture.Missing[string](owned.why)
		return g
	}
	anybody := head("")
	if anybody.why != nil {
		b.Exists, b.Owner = posture.Missing[bool](anybody.why), posture.Missing[string](anybody.why)
		return g
	}
	b.Exists, b.Owner = posture.Known(true, anybody.source), posture.Known("", owned.source)
	for _, trusted := range a.Trusted {
		switch one := head(trusted); {
		case one.why == nil:
			b.Owner = posture.Known(trusted, one.source)
			return g
		case !isForbidden(one.why): // it may be this one's
			b.Owner = posture.Missing[string](one.why)
		}
	}
	return g
}

// headIn asks for a bucket, and once more in the region that the answer names.
func headIn(ctx context.Context, g **region, b *posture.Bucket, resource string, in *s3.HeadBucketInput) answer[s3.HeadBucketOutput] {
	for range 2 {
		var elsewhere string
		watch := func(ctx context.Context, in *s3.HeadBucketInput, opts ...func(*s3.Options)) (*s3.HeadBucketOutput, error) {
			out, err := (*g).s3().HeadBucket(ctx, in, opts...)
			if resp, ok := errors.AsType[*awshttp.ResponseError](err); ok {
				elsewhere = resp.Response.Header.Get("X-Amz-Bucket-Region")
			}
			return out, err
		}
		a := call(ctx, *g, "s3:HeadBucket", resource, watch, in)
		if a.out != nil {
			elsewhere = aws.ToString(a.out.BucketRegion)
		}
		if elsewhere != "" {
			b.Region = elsewhere
		} else if a.why == nil || isForbidden(a.why) {
			b.Region = (*g).name
		}
		if elsewhere == "" || elsewhere == (*g).name {
			return a
		}
		*g = (*g).reach(elsewhere)
		if a.why == nil {
			return a
		}
	}
	return call(ctx, *g, "s3:HeadBucket", resource, (*g).s3().HeadBucket, in)
}

func isMissing(why *posture.Unread) bool {
	return why.Code == "NotFound" || why.Code == "NoSuchBucket"
}

func isForbidden(why *posture.Unread) bool {
	return why.Code == "Forbidden" || why.Code == "AccessDenied"
}

func takePublicAccess(t *taker, blockACLs, ignoreACLs, blockPolicy, restrict *bool) (*posture.PublicAccess, error) {
	return &posture.PublicAccess{
		BlockACLs: t.boolean("BlockPublicAcls", blockACLs), IgnoreACLs: t.boolean("IgnorePublicAcls", ignoreACLs),
		BlockPolicy: t.boolean("BlockPublicPolicy", blockPolicy), RestrictBuckets: t.boolean("RestrictPublicBuckets", restrict),
	}, t.err
}

// takeACL finds the grantees that are everybody.
// Source: Amazon S3 User Guide, "Access control list (ACL) overview", predefined groups.
func takeACL(out *s3.GetBucketAclOutput) ([]string, error) {
	var t taker
	if out.Owner == nil {
		t.fail("the answer lacks Owner")
	}
	everybody := []string{}
	for _, grant := range out.Grants {
		if grant.Grantee == nil {
			t.fail("the answer lacks Grantee")
			continue
		}
		if enum(&t, "Grantee.Type", grant.Grantee.Type, grant.Grantee.Type.Values()) != string(types.TypeGroup) {
			continue
		}
		uri := aws.ToString(grant.Grantee.URI)
		if strings.HasSuffix(uri, "/global/AllUsers") || strings.HasSuffix(uri, "/global/AuthenticatedUsers") {
			everybody = append(everybody, uri[strings.LastIndexByte(uri, '/')+1:])
		}
	}
	slices.Sort(everybody)
	return slices.Compact(everybody), t.err
}

func takeEncryption(out *s3.GetBucketEncryptionOutput) (*posture.Encryption, error) {
	var t taker
	c := out.ServerSideEncryptionConfiguration
	if c == nil || len(c.Rules) != 1 || c.Rules[0].ApplyServerSideEncryptionByDefault == nil {
		t.fail("the answer lacks ApplyServerSideEncryptionByDefault")
		return nil, t.err
	}
	d := c.Rules[0].ApplyServerSideEncryptionByDefault
	return &posture.Encryption{Algorithm: enum(&t, "SSEAlgorithm", d.SSEAlgorithm, d.SSEAlgorithm.Values()), Key: aws.ToString(d.KMSMasterKeyID)}, t.err
}

// accountPublicAccess reads the account's own block of public access.
func (g *region) accountPublicAccess(ctx context.Context) posture.Datum[*posture.PublicAccess] {
	client := s3control.NewFromConfig(g.config("s3control"), func(o *s3control.Options) {
		o.BaseEndpoint = g.base("s3control", o.BaseEndpoint)
		if o.BaseEndpoint != nil && !isAWS(*o.BaseEndpoint) { // the SDK would put the account's number before the host
			o.EndpointResolverV2 = fixed(*o.BaseEndpoint)
		}
	})
	in := &s3control.GetPublicAccessBlockInput{AccountId: &g.account.inv.ID}
	return absent(datum(call(ctx, g, "s3control:GetPublicAccessBlock", g.account.inv.ID, client.GetPublicAccessBlock, in),
		func(out *s3control.GetPublicAccessBlockOutput) (*posture.PublicAccess, error) {
			var t taker
			p := out.PublicAccessBlockConfiguration
			if p == nil {
				t.fail("the answer lacks PublicAccessBlockConfiguration")
				return nil, t.err
			}
			return takePublicAccess(&t, p.BlockPublicAcls, p.IgnorePublicAcls, p.BlockPublicPolicy, p.RestrictPublicBuckets)
		}), nil, "NoSuchPublicAccessBlockConfiguration")
}

// fixed resolves every s3control endpoint to one URL.
type fixed string

func (f fixed) ResolveEndpoint(context.Context, s3control.EndpointParameters) (endpoints.Endpoint, error) {
	return endpointOf(string(f))
}

// importPages is the most pages of 1,000 objects that are listed of one import's source.
const importPages = 100

// readImportObjects lists the objects that import jobs read, and keeps those that were changed after the import.
func (a *account) readImportObjects(ctx context.Context) {
	for _, g := range a.regions {
		each(g.inv.ImportJobs.Items, func(j *posture.ImportJob) {
			if d, ok := j.Detail.Read(); ok {
				g.importObjects(ctx, d)
			}
		})
	}
}

func (g *region) importObjects(ctx context.Context, d *posture.ImportJobDetail) {
	bucket, prefix := posture.SplitURI(d.Source)
	if bucket == "" {
		return
	}
	in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}
	changed := list(ctx, g, "s3:ListObjectsV2", d.Source, g.s3().ListObjectsV2, in,
		func(in *s3.ListObjectsV2Input, token *string) { in.ContinuationToken = token },
		func(out *s3.ListObjectsV2Output, page *posture.Source) ([]posture.Object, *string, error) {
			var t taker
			var objects []posture.Object
			for _, o := range out.Contents {
				if modified := t.time("LastModified", o.LastModified); modified.After(d.Since()) {
					objects = append(objects, posture.Object{Key: t.str("Key", o.Key), Modified: modified})
				}
			}
			d.Seen += len(out.Contents)
			if !t.boolean("IsTruncated", out.IsTruncated) {
				return objects, nil, t.err
			}
			if page.Page >= importPages {
				t.fail("there are more than %d pages of objects", importPages)
			}
			t.str("NextContinuationToken", out.NextContinuationToken)
			return objects, out.NextContinuationToken, t.err
		})
	d.Changed = changed
}
