package vpc

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// base is what all resources have.
type base struct {
	ID      string
	Created time.Time
	Tags    map[string]string `json:",omitempty"`
	// Token and Print are the client token and the fingerprint of the request that made it; empty without a token.
	Token string `json:",omitempty"`
	Print string `json:",omitempty"`
}

func (b *base) id() string  { return b.ID }
func (b *base) meta() *base { return b }

// resource is a pointer to a structure with a base.
type resource interface {
	id() string
	meta() *base
}

// table is all resources of a kind, in order of id.
type table[T resource] struct{ items []T }

func (t *table[T]) at(id string) (int, bool) {
	return slices.BinarySearchFunc(t.items, id, func(r T, id string) int { return strings.Compare(r.id(), id) })
}

func (t *table[T]) find(id string) (T, bool) {
	if i, ok := t.at(id); ok {
		return t.items[i], true
	}
	var none T
	return none, false
}

func (t *table[T]) add(r T) {
	i, _ := t.at(r.id())
	t.items = slices.Insert(t.items, i, r)
}

func (t *table[T]) remove(id string) {
	if i, ok := t.at(id); ok {
		t.items = slices.Delete(t.items, i, i+1)
	}
}

func (t *table[T]) removeIf(drop func(T) bool) { t.items = slices.DeleteFunc(t.items, drop) }

// where returns the resources that match.
func (t *table[T]) where(match func(T) bool) []T {
	var out []T
	for _, r := range t.items {
		if match(r) {
			out = append(out, r)
		}
	}
	return out
}

func (t *table[T]) decode(doc []byte) error {
	var r T
	if err := json.Unmarshal(doc, &r); err != nil {
		return err
	}
	t.add(r)
	return nil
}

func (t *table[T]) encode(kind string, out map[string]Row) error {
	for _, r := range t.items {
		doc, err := json.Marshal(r)
		if err != nil {
			return err
		}
		out[r.id()] = Row{ID: r.id(), Kind: kind, Doc: doc}
	}
	return nil
}

func (t *table[T]) metas(out []*base) []*base {
	for _, r := range t.items {
		out = append(out, r.meta())
	}
	return out
}

// kindTable is a table whatever its kind.
type kindTable interface {
	decode(doc []byte) error
	encode(kind string, out map[string]Row) error
	metas(out []*base) []*base
}

// The resources. The names of their fields are the names in the store.
type (
	vpcRes struct {
		base
		CIDR        netip.Prefix
		Association string // id of the association of the CIDR
		DNS         bool   // enableDnsSupport
		DNSNames    bool   // enableDnsHostnames
	}
	subnetRes struct {
		base
		VPC, Zone, ZoneID string
		CIDR              netip.Prefix
		// PublicIP is mapPublicIpOnLaunch. It is about instances, of which there are none: an interface of a job never has a
		// public address.
		PublicIP bool
		ACL      string // id of the association with the VPC's network ACL
	}
	groupRes struct {
		base
		VPC, Name, Description string
		Rules                  []ruleRes
	}
	tableRes struct {
		base
		VPC          string
		Routes       []routeRes // without the local one
		Associations []associationRes
	}
	routeRes struct {
		Dest         netip.Prefix
		Gateway, NAT string // one of them
	}
	associationRes struct {
		ID     string
		Subnet string `json:",omitempty"` // empty in the main one
	}
	endpointRes struct {
		base
		VPC    string
		Tables []string
		Policy string // as given, byte for byte; it allows everything
	}
	aclRes struct {
		base
		VPC string
	}
	gatewayRes struct {
		base
		VPC string // empty if detached
	}
	natRes struct {
		base
		VPC, Subnet, Address string // Address is an allocation's id, empty in a private one
		Association          string
		Addr                 netip.Addr
	}
	addressRes struct {
		base
		Addr netip.Addr
	}
	interfaceRes struct {
		base
		VPC, Subnet, Job, JobARN, Attachment string
		Addr                                 netip.Addr
		Groups                               []string
	}
	holdRes struct { // an address that must not be used again yet; its id is VPC/address
		base
		Until time.Time
	}
)

// network is everything of a place.
type network struct {
	Place
	version int64

	vpcs       table[*vpcRes]
	subnets    table[*subnetRes]
	groups     table[*groupRes]
	tables     table[*tableRes]
	endpoints  table[*endpointRes]
	flowLogs   table[*FlowLog]
	acls       table[*aclRes]
	gateways   table[*gatewayRes]
	nats       table[*natRes]
	addresses  table[*addressRes]
	interfaces table[*interfaceRes]
	holds      table[*holdRes]
}

// kindInterface is the kind of the rows of interfaces.
const kindInterface = "network-interface"

// kinds are the tables by the kind of their rows. The names are those of EC2's resource types, except "hold".
func (n *network) kinds() map[string]kindTable {
	return map[string]kindTable{
		"vpc": &n.vpcs, "subnet": &n.subnets, "security-group": &n.groups, "route-table": &n.tables, "vpc-endpoint": &n.endpoints,
		"vpc-flow-log": &n.flowLogs, "network-acl": &n.acls, "internet-gateway": &n.gateways, "natgateway": &n.nats,
		"elastic-ip": &n.addresses, kindInterface: &n.interfaces, "hold": &n.holds,
	}
}

// readNetwork decodes rows.
func readNetwork(p Place, rows []Row, version int64) (*network, error) {
	n := &network{Place: p, version: version}
	kinds := n.kinds()
	for _, row := range rows {
		t, ok := kinds[row.Kind]
		if !ok {
			return nil, fmt.Errorf("resource %s is of the unknown kind %q", row.ID, row.Kind)
		}
		if err := t.decode(row.Doc); err != nil {
			return nil, fmt.Errorf("decode %s: %w", row.ID, err)
		}
	}
	return n, nil
}

// rows encodes a network.
func (n *network) rows() (map[string]Row, error) {
	out := map[string]Row{}
	for kind, t := range n.kinds() {
		if err := t.encode(kind, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// mainTable is the main route table of a VPC.
func (n *network) mainTable(vpc string) *tableRes {
	for _, t := range n.tables.items {
		if t.VPC == vpc && t.main() {
			return t
		}
	}
	return &tableRes{base: base{ID: "none"}} // every VPC has one
}

func (t *tableRes) main() bool {
	return slices.ContainsFunc(t.Associations, func(a associationRes) bool { return a.Subnet == "" })
}

// tableOf is the route table of a subnet: the one that it is associated with, or the VPC's main one.
func (n *network) tableOf(sub *subnetRes) *tableRes {
	for _, t := range n.tables.items {
		if slices.ContainsFunc(t.Associations, func(a associationRes) bool { return a.Subnet == sub.ID }) {
			return t
		}
	}
	return n.mainTable(sub.VPC)
}

// endpointOf is the S3 endpoint that the subnet's route table has, or nil.
func (n *network) endpointOf(sub *subnetRes) *endpointRes {
	id := n.tableOf(sub).ID
	for _, e := range n.endpoints.items {
		if slices.Contains(e.Tables, id) {
			return e
		}
	}
	return nil
}

// live reports whether a VPC has an interface of a job.
func (n *network) live(vpc string) bool {
	return slices.ContainsFunc(n.interfaces.items, func(i *interfaceRes) bool { return i.VPC == vpc })
}
