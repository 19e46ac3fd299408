package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
)

// CreateAlias gives a key a second name. Names below alias/aws/ are AWS's.
func (s *Service) CreateAlias(ctx context.Context, in *awskms.CreateAliasInput, _ ...func(*awskms.Options)) (*awskms.CreateAliasOutput, error) {
	alias, err := s.aliasTo(ctx, "kms:CreateAlias", aws.ToString(in.AliasName), aws.ToString(in.TargetKeyId))
	if err != nil {
		return nil, err
	}
	err = s.store.CreateAlias(ctx, alias)
	if errors.Is(err, ErrExists) {
		return nil, cloister.Errorf("AlreadyExistsException", "An alias with the name %s already exists", s.requested(ctx, alias.Name))
	}
	return &awskms.CreateAliasOutput{}, err
}

// UpdateAlias points an alias to another key.
func (s *Service) UpdateAlias(ctx context.Context, in *awskms.UpdateAliasInput, _ ...func(*awskms.Options)) (*awskms.UpdateAliasOutput, error) {
	alias, err := s.aliasTo(ctx, "kms:UpdateAlias", aws.ToString(in.AliasName), aws.ToString(in.TargetKeyId))
	if err != nil {
		return nil, err
	}
	err = s.store.UpdateAlias(ctx, alias)
	if errors.Is(err, ErrNotFound) {
		return nil, notFoundError(ctx, s.account, alias.Name)
	}
	return &awskms.UpdateAliasOutput{}, err
}

// DeleteAlias deletes an alias; the key stays.
func (s *Service) DeleteAlias(ctx context.Context, in *awskms.DeleteAliasInput, _ ...func(*awskms.Options)) (*awskms.DeleteAliasOutput, error) {
	name := aws.ToString(in.AliasName)
	if err := s.auth.Authorize(ctx, cloister.Access{Action: "kms:DeleteAlias", Resource: s.requested(ctx, name)}); err != nil {
		return nil, err
	}
	err := s.store.DeleteAlias(ctx, s.account, cloister.CallFrom(ctx).Region, name)
	if errors.Is(err, ErrNotFound) {
		return nil, notFoundError(ctx, s.account, name)
	}
	return &awskms.DeleteAliasOutput{}, err
}

// ListAliases lists aliases in order of name, of one key if KeyId is given.
func (s *Service) ListAliases(ctx context.Context, in *awskms.ListAliasesInput, _ ...func(*awskms.Options)) (*awskms.ListAliasesOutput, error) {
	if err := s.auth.Authorize(ctx, cloister.Access{Action: "kms:ListAliases", Resource: "*"}); err != nil {
		return nil, err
	}
	keyID := ""
	if in.KeyId != nil {
		key, err := s.resolve(ctx, *in.KeyId)
		if errors.Is(err, ErrNotFound) {
			return nil, notFoundError(ctx, s.account, *in.KeyId)
		}
		if err != nil {
			return nil, err
		}
		keyID = key.ID
	}
	limit := page(in.Limit)
	aliases, err := s.store.Aliases(ctx, s.account, cloister.CallFrom(ctx).Region, keyID, aws.ToString(in.Marker), limit+1)
	if err != nil {
		return nil, err
	}
	out := &awskms.ListAliasesOutput{Aliases: []types.AliasListEntry{}}
	if len(aliases) > limit {
		aliases = aliases[:limit]
		out.Truncated = true
		out.NextMarker = aws.String(aliases[limit-1].Name)
	}
	for _, a := range aliases {
		out.Aliases = append(out.Aliases, types.AliasListEntry{
			AliasName: aws.String(a.Name), AliasArn: aws.String(s.requested(ctx, a.Name)), TargetKeyId: aws.String(a.KeyID),
			CreationDate: aws.Time(a.Created), LastUpdatedDate: aws.Time(a.Updated),
		})
	}
	return out, nil
}

// aliasTo authorizes an action on both alias and key, as KMS does, and makes the alias.
func (s *Service) aliasTo(ctx context.Context, action, name, target string) (Alias, error) {
	if err := s.auth.Authorize(ctx, cloister.Access{Action: action, Resource: s.requested(ctx, name)}); err != nil {
		return Alias{}, err
	}
	key, err := s.key(ctx, target, use{action: action})
	if err != nil {
		return Alias{}, err
	}
	switch {
	case !strings.HasPrefix(name, "alias/") || len(name) == len("alias/"):
		return Alias{}, cloister.Errorf("InvalidAliasNameException", "Alias must start with the prefix \"alias/\". Please see http://docs.aws.amazon.com/kms/latest/developerguide/programming-aliases.html")
	case strings.HasPrefix(name, "alias/aws/"):
		return Alias{}, cloister.Errorf("NotAuthorizedException", "Names below alias/aws/ are reserved").WithStatus(400)
	case strings.HasPrefix(target, "alias/") || strings.Contains(target, ":alias/"):
		return Alias{}, invalid("Aliases must refer to keys. Not aliases")
	}
	if err := key.notPending(); err != nil {
		return Alias{}, err
	}
	now := s.now()
	return Alias{Account: s.account, Region: key.Region, Name: name, KeyID: key.ID, Created: now, Updated: now}, nil
}
