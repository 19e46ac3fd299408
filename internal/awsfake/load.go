package awsfake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"

	"example.com/cloister/internal/wire"
)

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// Load reads a world file, YAML, applies patches to it in their order and checks what comes out: names that
// AWS's structures do not have, values of another type or outside an enumeration, and ids that are there
// twice are errors with their place, such as
// "accounts.111122223333.regions.us-east-1.jobs.0.vpcConfig.subnets: VpcConfig has no such member".
//
// testdata/good.yaml is an example with everything. A resource is written in the members of the structure of
// AWS's API that describes it, in AWS's spelling, and tags of Bedrock's resources as a map beside them:
//
//	jobs, models, importJobs, importedModels     the output of GetModelCustomizationJob, GetCustomModel, …
//	deployments, throughputs, copyJobs           the summaries of their listings
//	foundationModels, logging                    FoundationModelDetails, LoggingConfig
//	customizationJobQuota                        how many customization jobs may be in progress: a number, 10
//	subnets, securityGroups, routeTables, …      EC2's Subnet, SecurityGroup, RouteTable, …
//	keys: metadata, rotation, grants, aliases,   KeyMetadata, the output of GetKeyRotationStatus, GrantListEntry, names,
//	  tags                                       a map
//	trails: trail, status, eventSelectors        Trail, the outputs of GetTrailStatus and GetEventSelectors
//	logGroups                                    LogGroup
//	buckets: policyStatus, publicAccessBlock,    PolicyStatus, PublicAccessBlockConfiguration,
//	  encryption, acl, versioning, logging,      ServerSideEncryptionConfiguration, the outputs of GetBucketAcl, …,
//	  objects                                    Object
//	roles: externalId, allowedActions            what one must say to assume it; what SimulatePrincipalPolicy finds
//	                                             allowed, such as "s3:*", or else everything
func Load(r io.Reader, patches ...Patch) (*World, error) {
	tree, err := parseTree(r)
	if err != nil {
		return nil, err
	}
	for _, p := range patches {
		if tree, err = apply(tree, p); err != nil {
			return nil, err
		}
	}
	return build(tree)
}

// build checks a tree and makes a world of it.
func build(tree any) (*World, error) {
	l := &loader{services: map[string]*wire.Service{}}
	for _, name := range serviceNames() {
		s, err := newService(name)
		if err != nil {
			return nil, err
		}
		l.services[name] = s
	}
	w := &World{tree: tree, accounts: map[string]*account{}, buckets: map[string]*bucket{}, keys: map[string]*key{}}
	l.w = w
	top := l.fields(node{v: tree}, "partition", "regions", "accounts", "organization")
	w.partition = cmp.Or(l.text(top["partition"]), "aws")
	for _, n := range l.list(top["regions"]) {
		w.regions = append(w.regions, l.text(n))
	}
	for _, n := range l.entries(top["accounts"]) {
		l.account(n)
	}
	if n := top["organization"]; n.v != nil {
		w.org = l.organization(n)
	}
	if len(w.regions) == 0 && l.err == nil {
		l.fail("regions", "a world needs at least one")
	}
	return w, l.err
}

// node is a value of the tree, its name or position, and its dotted path.
type node struct {
	path, name string
	v          any
}

func (n node) child(name string, v any) node {
	if n.path == "" {
		return node{name, name, v}
	}
	return node{n.path + "." + name, name, v}
}

// loader reads a tree. After the first error it reads on and reports nothing more.
type loader struct {
	w        *World
	services map[string]*wire.Service
	err      error
}

func (l *loader) fail(path, format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("world: %s: %s", path, fmt.Sprintf(format, args...))
	}
}

// entries are the values of a map in the order of their names; none if n is absent.
func (l *loader) entries(n node) []node {
	if n.v == nil {
		return nil
	}
	tree, ok := n.v.(map[string]any)
	if !ok {
		l.fail(n.path, "a map is expected")
		return nil
	}
	var out []node
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		out = append(out, n.child(name, tree[name]))
	}
	return out
}

// fields are the values of a map that may have only the known names.
func (l *loader) fields(n node, known ...string) map[string]node {
	out := map[string]node{}
	for _, name := range known {
		out[name] = n.child(name, nil)
	}
	tree, ok := n.v.(map[string]any)
	if !ok {
		l.fail(n.path, "a map is expected, with %s", strings.Join(known, ", "))
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if !slices.Contains(known, name) {
			l.fail(n.child(name, nil).path, "there is no such name here; there are %s", strings.Join(known, ", "))
		}
		out[name] = n.child(name, tree[name])
	}
	return out
}

func (l *loader) list(n node) []node {
	if n.v == nil {
		return nil
	}
	list, ok := n.v.([]any)
	if !ok {
		l.fail(n.path, "a list is expected")
	}
	out := make([]node, len(list))
	for i, v := range list {
		out[i] = n.child(strconv.Itoa(i), v)
	}
	return out
}

func (l *loader) text(n node) string {
	s, ok := n.v.(string)
	if !ok && n.v != nil {
		l.fail(n.path, "text is expected: quote it")
	}
	return s
}

// flag reads a boolean that is false where it is absent.
func (l *loader) flag(n node) bool {
	b, ok := n.v.(bool)
	if !ok && n.v != nil {
		l.fail(n.path, "true or false is expected")
	}
	return b
}

// count reads a whole number that is not negative.
func (l *loader) count(n node) int {
	number, _ := n.v.(json.Number)
	i, err := strconv.Atoi(string(number))
	if err != nil || i < 0 {
		l.fail(n.path, "a number is expected")
	}
	return i
}

// record reads a structure of AWS. The names in beside are ours: they are taken out of it and returned.
func record[T any](l *loader, n node, service, shape string, beside ...string) (*T, map[string]node) {
	out, rest := new(T), map[string]node{}
	tree, ok := n.v.(map[string]any)
	if !ok {
		l.fail(n.path, "a map is expected")
		return out, rest
	}
	if len(beside) > 0 {
		tree = maps.Clone(tree)
		for _, name := range beside {
			rest[name] = n.child(name, tree[name])
			delete(tree, name)
		}
	}
	if err := l.services[service].Fill(shape, n.path, tree, out); err != nil && l.err == nil {
		l.err = fmt.Errorf("world: %w", err)
	}
	return out, rest
}

// optional is record for what need not be there: nil if it is not.
func optional[T any](l *loader, n node, service, shape string) *T {
	if n.v == nil {
		return nil
	}
	out, _ := record[T](l, n, service, shape)
	return out
}

// records reads a list of structures.
func records[T any](l *loader, n node, service, shape string) []T {
	var out []T
	for _, element := range l.list(n) {
		r, _ := record[T](l, element, service, shape)
		out = append(out, *r)
	}
	return out
}

func (l *loader) account(n node) {
	a := &account{id: n.name, roles: map[string]role{}, regions: map[string]*region{}}
	if !accountID.MatchString(a.id) {
		l.fail(n.path, "an account is twelve digits")
	}
	l.w.accounts[a.id] = a
	top := l.fields(n, "roles", "publicAccessBlock", "buckets", "regions")
	for _, r := range l.entries(top["roles"]) {
		a.roles[r.name] = l.role(r)
	}
	a.publicAccessBlock = optional[controltypes.PublicAccessBlockConfiguration](l, top["publicAccessBlock"], "s3control", "PublicAccessBlockConfiguration")
	for _, b := range l.entries(top["buckets"]) {
		l.bucket(a, b)
	}
	for _, r := range l.entries(top["regions"]) {
		if !slices.Contains(l.w.regions, r.name) {
			l.fail(r.path, "the world's regions do not list it")
		}
		a.regions[r.name] = l.region(a, r)
	}
}

func (l *loader) role(n node) role {
	top := l.fields(n, "externalId", "allowedActions")
	r := role{externalID: l.text(top["externalId"])}
	if top["allowedActions"].v != nil {
		r.allowed = []string{}
	}
	for _, action := range l.list(top["allowedActions"]) {
		r.allowed = append(r.allowed, l.text(action))
	}
	return r
}
