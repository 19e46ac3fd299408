package awsfake

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// GenerateOptions say how large a world Generate makes.
type GenerateOptions struct {
	// Account is the one account of the world; empty means 111122223333.
	Account string
	// Regions is how many regions the world has, 1 to 34.
	Regions int
	// Jobs is how many customization jobs there are in all; they are dealt out over the regions.
	Jobs int
	// Models is how many custom models there are in all; 0 means one for every completed job.
	Models int
	// Homes is in how many of the regions there are jobs and models; 0 means all. The others have nothing.
	Homes int
	// Sharing is how many times as many jobs as usual share a VPC, group, key and bucket; 0 means 1.
	Sharing int
}

// How many jobs share one of a kind, unless Sharing says more: guesses at what a team of some size has.
const (
	jobsPerVPC    = 20 // with three subnets, a route table, an endpoint and a flow log
	jobsPerGroup  = 5
	jobsPerKey    = 5
	jobsPerBucket = 10 // for data, and another one for output
)

// The jobs that are not as they should be: every so-manieth.
const (
	noVPC  = 5
	noKey  = 7
	failed = 11
	noTags = 13
)

// generated is a world in the making: the tree of a world file.
type generated struct {
	o       GenerateOptions
	buckets tree
	first   int // how many jobs the regions before have, so that every so-manieth job of all is odd
}

type (
	tree = map[string]any
	list = []any
)

// Generate makes a world for benchmarks: jobs with and without VPC, key and tags, that share subnets, groups,
// keys and buckets as they do in real accounts. The same options give the same world.
func Generate(o GenerateOptions) *World {
	if o.Account == "" {
		o.Account = "111122223333"
	}
	names := regionNames()
	o.Regions, o.Sharing = max(1, min(o.Regions, len(names))), max(1, o.Sharing)
	if o.Homes < 1 || o.Homes > o.Regions {
		o.Homes = o.Regions
	}
	g := &generated{o: o, buckets: tree{}}
	regions, listed := tree{}, list{}
	for i, name := range names[:o.Regions] {
		listed = append(listed, name)
		if i >= o.Homes {
			regions[name] = tree{}
			continue
		}
		jobs := share(o.Jobs, o.Homes, i)
		regions[name] = g.region(name, jobs, share(o.Models, o.Homes, i))
		g.first += jobs
	}
	block := publicAccessBlock()
	w, err := build(tree{
		"partition": "aws", "regions": listed,
		"accounts": tree{o.Account: tree{
			"roles": tree{"cloister-audit": tree{}}, "publicAccessBlock": block, "buckets": g.buckets, "regions": regions,
		}},
	})
	if err != nil {
		panic("awsfake: " + err.Error()) // what is generated does not depend on anything but small numbers
	}
	return w
}

// regionNames are AWS's commercial regions.
func regionNames() []string {
	return []string{
		"us-east-1", "us-west-2", "eu-central-1", "eu-west-1", "ap-northeast-1", "us-east-2", "us-west-1", "eu-west-2",
		"eu-west-3", "eu-north-1", "ap-southeast-1", "ap-southeast-2", "ap-south-1", "ca-central-1", "sa-east-1",
		"ap-northeast-2", "ap-northeast-3", "eu-south-1", "eu-south-2", "eu-central-2", "af-south-1", "ap-east-1",
		"ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7", "ca-west-1", "il-central-1",
		"me-central-1", "me-south-1", "mx-central-1", "ap-east-2", "ap-southeast-6",
	}
}

// share is the i-th of parts of n.
func share(n, parts, i int) int { return n*(i+1)/parts - n*i/parts }

// hexID is a made-up id of n hexadecimal digits.
func hexID(n int, name ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(name...)))
	return hex.EncodeToString(sum[:])[:n]
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// moment is a time in the autumn of 2026, n hours in.
func moment(hours int) string {
	return time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours) * time.Hour).Format(time.RFC3339)
}

func publicAccessBlock() tree {
	return tree{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}
}

// bucket adds a bucket, unless it is there, and returns its name.
func (g *generated) bucket(region, use string, n int) string {
	name := fmt.Sprintf("acme-%s-%s-%d", use, region, n)
	if g.buckets[name] != nil {
		return name
	}
	logs := "acme-logs-" + region
	if g.buckets[logs] == nil {
		g.buckets[logs] = tree{"region": region, "publicAccessBlock": publicAccessBlock(), "versioning": tree{"Status": "Enabled"}}
	}
	g.buckets[name] = tree{
		"region": region, "policyStatus": tree{"IsPublic": false}, "publicAccessBlock": publicAccessBlock(),
		"encryption": tree{"Rules": list{tree{
			"ApplyServerSideEncryptionByDefault": tree{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": g.keyARN(region, 0)},
			"BucketKeyEnabled":                   true,
		}}},
		"versioning": tree{"Status": "Enabled"},
		"logging":    tree{"LoggingEnabled": tree{"TargetBucket": logs, "TargetPrefix": name + "/"}},
		"objects":    list{tree{"Key": "train.jsonl", "Size": number(1 << 20), "LastModified": moment(0), "ETag": `"` + hexID(32, name) + `"`}},
	}
	return name
}

func (g *generated) arn(service, region, resource string) string {
	return "arn:aws:" + service + ":" + region + ":" + g.o.Account + ":" + resource
}

func (g *generated) keyARN(region string, n int) string {
	id := hexID(32, "key", region, n)
	return g.arn("kms", region, "key/"+id[:8]+"-"+id[8:12]+"-"+id[12:16]+"-"+id[16:20]+"-"+id[20:])
}
