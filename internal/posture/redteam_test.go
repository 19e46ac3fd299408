package posture_test

import (
	"strings"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/posture"
)

// attack is a world that looks compliant and is not, or that cannot be judged.
type attack struct {
	name, rule string
	want       posture.Status
	patches    []awsfake.Patch
}

type (
	object = map[string]any
	array  = []any
)

// TestAttacks holds rules against worlds that were made to get a PASS, or a FAIL, that they do not deserve.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for _, attacks := range [][]attack{trailAttacks(), dataEventAttacks(), groupAttacks(), routeAttacks(), endpointAttacks(), policyAttacks(), sharedAttacks()} {
		for _, a := range attacks {
			t.Run(a.rule+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				chosen := rules(t, a.rule)
				results := evaluate(t, options(awsfake.New(world(t, "", a.patches...), awsfake.Options{Now: now}), chosen), chosen)
				if len(results) == 0 || count(results, a.rule, a.want) < len(results) {
					show(t, results, a.rule)
					t.Errorf("not all of it is %s", a.want)
				}
			})
		}
	}
}

func selectors(s object) []awsfake.Patch {
	return []awsfake.Patch{{Path: "~/trails/0/eventSelectors", Set: s}}
}

// basic is a trail with one basic event selector.
func basic(values, excluded array) []awsfake.Patch {
	return selectors(object{"EventSelectors": array{object{
		"ReadWriteType": "All", "IncludeManagementEvents": true, "ExcludeManagementEventSources": excluded,
		"DataResources": array{object{"Type": "AWS::S3::Object", "Values": values}},
	}}})
}

func equals(field string, values ...any) object { return object{"Field": field, "Equals": values} }

// advanced is a trail with one advanced event selector for each list of fields.
func advanced(selections ...array) []awsfake.Patch {
	var list array
	for _, fields := range selections {
		list = append(list, object{"Name": "s", "FieldSelectors": fields})
	}
	return selectors(object{"AdvancedEventSelectors": list})
}

func management(fields ...any) array {
	return append(array{equals("eventCategory", "Management")}, fields...)
}

func objects(fields ...any) array {
	return append(array{equals("eventCategory", "Data"), equals("resources.type", "AWS::S3::Object")}, fields...)
}

func trailAttacks() []attack {
	const rule = "MC-LOG-003"
	noKMS := object{"Field": "eventSource", "NotEquals": array{"kms.amazonaws.com"}}
	noRDS := object{"Field": "eventSource", "NotEquals": array{"rdsdata.amazonaws.com"}}
	return []attack{
		{"basic selector without KMS", rule, posture.Fail, basic(array{"arn:aws:s3"}, array{"kms.amazonaws.com"})},
		{"advanced selector without KMS", rule, posture.Fail, advanced(management(noKMS), objects())},
		{"two selectors that leave out different sources", rule, posture.Pass, advanced(management(noKMS), management(noRDS))},
		{"one management event", rule, posture.Error, advanced(management(equals("eventName", "RunInstances")))},
		{"one management event beside all", rule, posture.Pass, advanced(management(equals("eventName", "RunInstances")), management())},
		{"one management event beside reads", rule, posture.Error, advanced(management(equals("eventName", "RunInstances")), management(equals("readOnly", "true")))},
		{"one write event, and no reads", rule, posture.Fail, advanced(management(equals("eventName", "RunInstances"), equals("readOnly", "false")))},
		{"reads and writes apart", rule, posture.Pass, advanced(management(equals("readOnly", "false")), management(equals("readOnly", "true")))},
		{"readOnly by exclusion", rule, posture.Error, advanced(management(object{"Field": "readOnly", "NotEquals": array{"true"}}))},
		{"a selector of nobody knows what", rule, posture.Error, advanced(array{equals("readOnly", "true")})},
		{"a trail that cannot deliver", rule, posture.Fail, []awsfake.Patch{{Path: "~/trails/0/status/LatestDeliveryError", Set: "NoSuchBucket"}}},
	}
}

func dataEventAttacks() []attack {
	const rule = "MC-LOG-004"
	begins := func(prefix string) object { return object{"Field": "resources.ARN", "StartsWith": array{prefix}} }
	return []attack{
		{"the name of another bucket", rule, posture.Fail, basic(array{"arn:aws:s3:::acme"}, array{})},
		{"a bucket without its slash", rule, posture.Fail, basic(array{"arn:aws:s3:::acme-train"}, array{})},
		{"a part of a bucket", rule, posture.Fail, basic(array{"arn:aws:s3:::acme-train/support"}, array{})},
		{"nothing", rule, posture.Fail, basic(array{""}, array{})},
		{"every bucket", rule, posture.Pass, basic(array{"arn:aws:s3:::"}, array{})},
		{"nothing, advanced", rule, posture.Fail, advanced(objects(begins("")))},
		{"all that begins so", rule, posture.Pass, advanced(objects(begins("arn:aws:s3:::acme-")))},
		{"readOnly by exclusion", rule, posture.Error, advanced(objects(object{"Field": "readOnly", "NotEquals": array{"true"}}))},
		{"without one caller", rule, posture.Error, advanced(objects(object{"Field": "eventSource", "NotEquals": array{"s3.amazonaws.com"}}))},
		{"a trail that cannot deliver", rule, posture.Fail, []awsfake.Patch{{Path: "~/trails/0/status/LatestDeliveryError", Set: "AccessDenied"}}},
	}
}

// prefixList adds a list of the customer.
func prefixList(cidrs ...string) awsfake.Patch {
	var entries array
	for _, cidr := range cidrs {
		entries = append(entries, object{"Cidr": cidr})
	}
	return awsfake.Patch{Path: "~/prefixLists/-", Set: object{"PrefixListId": "pl-0123456789abcdef0", "OwnerId": account, "Entries": entries}}
}

func groupAttacks() []attack {
	const rule = "MC-NET-001"
	egress := func(cidrs ...string) awsfake.Patch {
		var v4, v6 array
		for _, cidr := range cidrs {
			if strings.Contains(cidr, ":") {
				v6 = append(v6, object{"CidrIpv6": cidr})
			} else {
				v4 = append(v4, object{"CidrIp": cidr})
			}
		}
		return awsfake.Patch{Path: "~/securityGroups/0/IpPermissionsEgress/-", Set: object{"IpProtocol": "-1", "IpRanges": v4, "Ipv6Ranges": v6}}
	}
	list := awsfake.Patch{Path: "~/securityGroups/0/IpPermissionsEgress/-", Set: object{"IpProtocol": "-1", "PrefixListIds": array{object{"PrefixListId": "pl-0123456789abcdef0"}}}}
	one := func(name string, want posture.Status, patches ...awsfake.Patch) attack {
		return attack{name, rule, want, patches}
	}
	return []attack{
		one("both halves", posture.Fail, egress("0.0.0.0/1", "128.0.0.0/1")),
		one("both halves of IPv6", posture.Fail, egress("::/1", "8000::/1")),
		one("all of IPv6 that is given", posture.Fail, egress("2000::/3")),
		one("a little more than a /8", posture.Fail, egress("52.0.0.0/8", "54.0.0.0/24")),
		one("a /8 twice", posture.Pass, egress("52.0.0.0/8", "52.1.0.0/16")),
		one("IPv4 through NAT64", posture.Fail, egress("198.51.100.0/24", "64:ff9b::/96")),
		one("private networks", posture.Pass, egress("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "64:ff9b::a00:0/104")),
		one("a prefix list of halves", posture.Fail, list, prefixList("0.0.0.0/1", "128.0.0.0/1")),
		one("halves in a rule and a list", posture.Fail, list, prefixList("52.0.0.0/8"), egress("54.0.0.0/8")),
		one("a narrow prefix list", posture.Pass, list, prefixList("198.51.100.0/24")),
		one("a prefix list that is gone", posture.Error, list),
		one("a prefix list that is gone, and the world", posture.Fail, list, egress("0.0.0.0/0")),
	}
}

func routeAttacks() []attack {
	route := func(destination, target string) awsfake.Patch {
		r := object{"DestinationCidrBlock": destination, "Origin": "CreateRoute", "State": "active"}
		if !strings.Contains(destination, "/") {
			r = object{"DestinationPrefixListId": destination, "Origin": "CreateRoute", "State": "active"}
		}
		r[map[string]string{"tgw": "TransitGatewayId", "eni": "NetworkInterfaceId", "vpc": "GatewayId"}[target[:3]]] = target
		return awsfake.Patch{Path: "~/routeTables/0/Routes/-", Set: r}
	}
	const eni, tgw, lb, list = "eni-0123456789abcdef0", "tgw-0123456789abcdef0", "vpce-0aaaaaaaaaaaaaaaa", "pl-0123456789abcdef0"
	one := func(name string, want posture.Status, patches ...awsfake.Patch) attack {
		return attack{name, "MC-NET-004", want, patches}
	}
	return []attack{
		one("four quarters", posture.Fail, route("0.0.0.0/2", eni), route("64.0.0.0/2", eni), route("128.0.0.0/2", eni), route("192.0.0.0/2", eni)),
		one("two targets", posture.Fail, route("52.0.0.0/8", eni), route("54.0.0.0/8", tgw)),
		one("a prefix list of halves", posture.Fail, route(list, tgw), prefixList("0.0.0.0/1", "128.0.0.0/1")),
		one("a prefix list that is gone", posture.Error, route(list, tgw)),
		one("a narrow prefix list", posture.Pass, route(list, tgw), prefixList("10.0.0.0/8")),
		one("a load balancer's endpoint", posture.Fail, route("0.0.0.0/0", lb)),
		one("a load balancer's endpoint by list", posture.Fail, route(list, lb), prefixList("0.0.0.0/0")),
	}
}

func endpointAttacks() []attack {
	inbound := func(only bool) []awsfake.Patch {
		return []awsfake.Patch{
			{Path: "~/vpcEndpoints/0/VpcEndpointType", Set: "Interface"},
			{Path: "~/vpcEndpoints/0/RouteTableIds", Set: array{}},
			{Path: "~/vpcEndpoints/0/PrivateDnsEnabled", Set: true},
			{Path: "~/vpcEndpoints/0/DnsOptions", Set: object{"PrivateDnsOnlyForInboundResolverEndpoint": only}},
		}
	}
	failed := []awsfake.Patch{{Path: "~/flowLogs/0/DeliverLogsStatus", Set: "FAILED"}}
	return []attack{
		{"names for inbound resolvers only", "MC-NET-005", posture.Fail, inbound(true)},
		{"names for the VPC", "MC-NET-005", posture.Pass, inbound(false)},
		{"a flow log that does not deliver", "MC-NET-007", posture.Fail, failed},
		{"a flow log that delivers nobody knows how", "MC-NET-007", posture.Error, []awsfake.Patch{{Path: "~/flowLogs/0/DeliverLogsStatus", Set: "MAYBE"}}},
		{"a flow log that has not delivered yet", "MC-NET-007", posture.Pass, []awsfake.Patch{{Path: "~/flowLogs/0/DeliverLogsStatus", Delete: true}}},
	}
}

func policyAttacks() []attack {
	policy := func(name string, want posture.Status, text string) attack {
		return attack{name, "MC-NET-006", want, []awsfake.Patch{{Path: "~/vpcEndpoints/0/PolicyDocument", Set: text}}}
	}
	const all = `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`
	return []attack{
		policy("null", posture.Error, `null`),
		policy("no statement", posture.Error, `{"Statement":[]}`),
		policy("null statement", posture.Error, `{"Statement":null}`),
		policy("two spellings", posture.Error, `{"Statement":[`+all+`],"statement":[]}`),
		policy("given twice", posture.Error, `{"Statement":[`+all+`],"Statement":[{"Effect":"Deny"}]}`),
		policy("effect in lower case", posture.Error, `{"Statement":[{"Effect":"allow","Principal":"*","Action":"*","Resource":"*"}]}`),
		policy("effect given twice", posture.Error, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Effect":"Deny"}]}`),
		policy("more behind it", posture.Error, `{"Statement":[{"Effect":"Deny"}]} {"Statement":[`+all+`]}`),
		policy("lists", posture.Fail, `{"Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["*"],"Resource":["*"]}]}`),
		policy("everything twice", posture.Fail, `{"Statement":[`+all+`,`+all+`]}`),
		policy("everything beside something", posture.Fail, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"},`+all+`]}`),
		policy("everything but", posture.Error, `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"*"},`+all+`]}`),
		policy("everything on a condition", posture.Error, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceAccount":"1"}}}]}`),
	}
}

func sharedAttacks() []attack {
	var attacks []attack
	for _, rule := range []string{"MC-NET-004", "MC-NET-005", "MC-NET-006", "MC-NET-007"} {
		attacks = append(attacks, attack{"subnets of another account", rule, posture.Error, []awsfake.Patch{
			{Path: "~/subnets/0/OwnerId", Set: "999988887777"},
			{Path: "~/subnets/1/OwnerId", Set: "999988887777"},
			{Path: "~/vpcEndpoints", Set: array{}},
			{Path: "~/flowLogs", Set: array{}},
		}})
	}
	return attacks
}
