package vpc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
	"example.com/cloister/internal/netns"
)

// derivedID makes the id of what every region has without anybody making it.
func derivedID(prefix, name string, digits int) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + "-" + hex.EncodeToString(sum[:])[:digits]
}

// s3ListID is the id of S3's managed prefix list, eight digits as AWS's own lists have.
func s3ListID(region cloister.Region) string { return derivedID("pl", s3Service(region), 8) }

// s3List is the list as the data plane needs it.
func s3List(region cloister.Region) netns.PrefixList {
	return netns.PrefixList{ID: s3ListID(region), Prefixes: []netip.Prefix{s3Prefix()}}
}

// DescribeManagedPrefixLists describes the prefix lists of the region: S3's.
func (s *Service) DescribeManagedPrefixLists(ctx context.Context, in *ec2.DescribeManagedPrefixListsInput, _ ...func(*ec2.Options)) (*ec2.DescribeManagedPrefixListsOutput, error) {
	if err := s.allow(ctx, "DescribeManagedPrefixLists"); err != nil {
		return nil, err
	}
	region := cloister.CallFrom(ctx).Region
	id := s3ListID(region)
	all := []types.ManagedPrefixList{{
		PrefixListId: aws.String(id), PrefixListName: aws.String(s3Service(region)), OwnerId: aws.String("AWS"), AddressFamily: aws.String("IPv4"),
		State: types.PrefixListStateCreateComplete, PrefixListArn: aws.String(cloister.NewARN("ec2", region, "aws", "prefix-list/"+id).String()),
		Tags: []types.Tag{},
	}}
	d := described[types.ManagedPrefixList]{
		notFound: "InvalidPrefixListID.NotFound", text: "The prefix list ID '%s' does not exist", ids: "prefixListIds",
		id: func(p *types.ManagedPrefixList) *string { return p.PrefixListId }, tags: func(p *types.ManagedPrefixList) []types.Tag { return p.Tags },
		filters: map[string]func(*types.ManagedPrefixList) []string{
			"owner-id":         func(p *types.ManagedPrefixList) []string { return one(p.OwnerId) },
			"prefix-list-id":   func(p *types.ManagedPrefixList) []string { return one(p.PrefixListId) },
			"prefix-list-name": func(p *types.ManagedPrefixList) []string { return one(p.PrefixListName) },
		},
	}
	out, next, err := describe(d, all, query{in.PrefixListIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeManagedPrefixListsOutput{PrefixLists: out, NextToken: next}, dryRun(in.DryRun)
}

// DescribePrefixLists is the older form of DescribeManagedPrefixLists, with the blocks.
func (s *Service) DescribePrefixLists(ctx context.Context, in *ec2.DescribePrefixListsInput, _ ...func(*ec2.Options)) (*ec2.DescribePrefixListsOutput, error) {
	if err := s.allow(ctx, "DescribePrefixLists"); err != nil {
		return nil, err
	}
	region := cloister.CallFrom(ctx).Region
	all := []types.PrefixList{{PrefixListId: aws.String(s3ListID(region)), PrefixListName: aws.String(s3Service(region)), Cidrs: []string{s3Prefixes}}}
	d := described[types.PrefixList]{
		notFound: "InvalidPrefixListId.NotFound", text: "The prefix list ID '%s' does not exist", ids: "prefixListIds",
		id: func(p *types.PrefixList) *string { return p.PrefixListId },
		filters: map[string]func(*types.PrefixList) []string{
			"prefix-list-id":   func(p *types.PrefixList) []string { return one(p.PrefixListId) },
			"prefix-list-name": func(p *types.PrefixList) []string { return one(p.PrefixListName) },
		},
	}
	out, next, err := describe(d, all, query{in.PrefixListIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribePrefixListsOutput{PrefixLists: out, NextToken: next}, dryRun(in.DryRun)
}

// GetManagedPrefixListEntries lists the blocks of S3's list.
func (s *Service) GetManagedPrefixListEntries(ctx context.Context, in *ec2.GetManagedPrefixListEntriesInput, _ ...func(*ec2.Options)) (*ec2.GetManagedPrefixListEntriesOutput, error) {
	id := aws.ToString(in.PrefixListId)
	if err := s.allow(ctx, "GetManagedPrefixListEntries", "prefix-list/"+id); err != nil {
		return nil, err
	}
	if err := only(in, "PrefixListId", "MaxResults", "NextToken"); err != nil {
		return nil, err
	}
	if id != s3ListID(cloister.CallFrom(ctx).Region) {
		return nil, notFound("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
	}
	return &ec2.GetManagedPrefixListEntriesOutput{Entries: []types.PrefixListEntry{{Cidr: aws.String(s3Prefixes)}}}, dryRun(in.DryRun)
}
