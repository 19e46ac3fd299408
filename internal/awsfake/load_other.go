package awsfake

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	cloudtrailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func (l *loader) bucket(a *account, n node) {
	top := l.fields(n, "region", "shared", "policyStatus", "acl", "publicAccessBlock", "encryption", "versioning", "logging", "objects")
	b := &bucket{
		name: n.name, account: a.id, region: l.text(top["region"]), shared: l.flag(top["shared"]),
		policyStatus:      optional[s3types.PolicyStatus](l, top["policyStatus"], "s3", "PolicyStatus"),
		acl:               optional[s3.GetBucketAclOutput](l, top["acl"], "s3", "GetBucketAclOutput"),
		publicAccessBlock: optional[s3types.PublicAccessBlockConfiguration](l, top["publicAccessBlock"], "s3", "PublicAccessBlockConfiguration"),
		encryption:        optional[s3types.ServerSideEncryptionConfiguration](l, top["encryption"], "s3", "ServerSideEncryptionConfiguration"),
		versioning:        optional[s3.GetBucketVersioningOutput](l, top["versioning"], "s3", "GetBucketVersioningOutput"),
		logging:           optional[s3.GetBucketLoggingOutput](l, top["logging"], "s3", "GetBucketLoggingOutput"),
		objects:           records[s3types.Object](l, top["objects"], "s3", "Object"),
	}
	if !slices.Contains(l.w.regions, b.region) {
		l.fail(n.path+".region", "%q is not in the world's regions", b.region)
	}
	if l.w.buckets[b.name] != nil {
		l.fail(n.path, "another account has a bucket of this name")
	}
	slices.SortFunc(b.objects, func(x, y s3types.Object) int {
		return strings.Compare(aws.ToString(x.Key), aws.ToString(y.Key))
	})
	l.w.buckets[b.name] = b
}

func (l *loader) key(a *account, r *region, n node) {
	top := l.fields(n, "shared", "metadata", "rotation", "grants", "aliases", "tags")
	metadata, _ := record[kmstypes.KeyMetadata](l, top["metadata"], "kms", "KeyMetadata")
	k := &key{
		account: a.id, shared: l.flag(top["shared"]), metadata: *metadata,
		grants: records[kmstypes.GrantListEntry](l, top["grants"], "kms", "GrantListEntry"),
	}
	if rotation := optional[kms.GetKeyRotationStatusOutput](l, top["rotation"], "kms", "GetKeyRotationStatusResponse"); rotation != nil {
		k.rotation = *rotation
	}
	for _, t := range l.entries(top["tags"]) {
		k.tags = append(k.tags, kmstypes.Tag{TagKey: aws.String(t.name), TagValue: aws.String(l.text(t))})
	}
	names := []*string{metadata.Arn, metadata.KeyId}
	prefix := "arn:" + l.w.partition + ":kms:" + r.name + ":" + a.id + ":"
	if !strings.HasPrefix(aws.ToString(metadata.Arn), prefix+"key/") {
		l.fail(n.path+".metadata.Arn", "it must begin with %s", prefix+"key/")
	}
	for _, alias := range l.list(top["aliases"]) {
		name := l.text(alias)
		if !strings.HasPrefix(name, "alias/") {
			l.fail(alias.path, "it must begin with alias/")
		}
		k.aliases = append(k.aliases, name)
		names = append(names, aws.String(name), aws.String(prefix+name))
	}
	add(l, &r.keys, n, "Arn", k, names...)
	for _, name := range names {
		if strings.HasPrefix(aws.ToString(name), "arn:") {
			l.w.keys[*name] = k
		}
	}
}

func (l *loader) trail(n node) *trail {
	top := l.fields(n, "trail", "status", "eventSelectors")
	t := &trail{}
	record, _ := record[cloudtrailtypes.Trail](l, top["trail"], "cloudtrail", "Trail")
	t.trail = *record
	if t.trail.TrailARN == nil || t.trail.Name == nil {
		l.fail(top["trail"].path, "it needs a Name and a TrailARN")
	}
	if status := optional[cloudtrail.GetTrailStatusOutput](l, top["status"], "cloudtrail", "GetTrailStatusResponse"); status != nil {
		t.status = *status
	}
	if s := optional[cloudtrail.GetEventSelectorsOutput](l, top["eventSelectors"], "cloudtrail", "GetEventSelectorsResponse"); s != nil {
		t.selectors = *s
	}
	t.selectors.TrailARN = t.trail.TrailARN
	return t
}

func (l *loader) organization(n node) *organization {
	top := l.fields(n, "id", "management", "roots", "units", "accounts")
	o := &organization{id: l.text(top["id"]), management: l.text(top["management"]), parent: map[string]string{}}
	o.roots = records[orgtypes.Root](l, top["roots"], "organizations", "Root")
	parents := map[string]bool{}
	for _, root := range o.roots {
		parents[aws.ToString(root.Id)] = true
	}
	var placed []node // with the parent's node
	for _, u := range l.list(top["units"]) {
		m := l.fields(u, "id", "parent", "name")
		id := l.text(m["id"])
		arn := "arn:" + l.w.partition + ":organizations::" + o.management + ":ou/" + o.id + "/" + id
		o.units = append(o.units, orgtypes.OrganizationalUnit{Id: aws.String(id), Arn: aws.String(arn), Name: aws.String(l.text(m["name"]))})
		parents[id], o.parent[id] = true, l.text(m["parent"])
		placed = append(placed, m["parent"])
	}
	for _, n := range l.list(top["accounts"]) {
		a, rest := record[orgtypes.Account](l, n, "organizations", "Account", "parent")
		o.accounts = append(o.accounts, *a)
		o.parent[aws.ToString(a.Id)] = l.text(rest["parent"])
		placed = append(placed, rest["parent"])
	}
	for _, p := range placed {
		if !parents[l.text(p)] {
			l.fail(p.path, "no root or unit has the id %q", l.text(p))
		}
	}
	return o
}
