package vpc

import (
	"strings"

	"example.com/cloister"
)

// zone is an Availability Zone.
type zone struct{ Name, ID string }

// zonesOf are the three zones that every region has here. The ids are made of the region's name as AWS's are: use1-az1 of
// us-east-1, apne1-az1 of ap-northeast-1.
// Source: RAM User Guide, "Availability Zone IDs for your AWS resources".
func zonesOf(region cloister.Region) []zone {
	var id strings.Builder
	for part := range strings.SplitSeq(string(region), "-") {
		id.WriteString(abbreviation(part))
	}
	out := make([]zone, 0, 3)
	for i, letter := range []string{"a", "b", "c"} {
		out = append(out, zone{Name: string(region) + letter, ID: id.String() + "-az" + string(rune('1'+i))})
	}
	return out
}

// abbreviation is what a part of a region's name is called in the ids of its zones.
func abbreviation(part string) string {
	switch part {
	case "north", "south", "east", "west", "central":
		return part[:1]
	case "northeast", "northwest", "southeast", "southwest":
		return part[:1] + part[5:6]
	case "gov":
		return "g"
	case "isob":
		return "ib"
	default:
		return part
	}
}

// regionNames are the regions that DescribeRegions lists: those that need no opt-in. Any other is served too.
// Source: EC2 User Guide, "Regions".
func regionNames() []string {
	return []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
		"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
}
