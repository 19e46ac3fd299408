package kms

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
)

// Encrypt seals up to 4096 bytes under a key.
func (s *Service) Encrypt(ctx context.Context, in *awskms.EncryptInput, _ ...func(*awskms.Options)) (*awskms.EncryptOutput, error) {
	key, err := s.forUse(ctx, aws.ToString(in.KeyId), use{"kms:Encrypt", in.EncryptionContext}, in.GrantTokens, in.EncryptionAlgorithm, in.DryRun)
	if err != nil {
		return nil, err
	}
	blob, err := s.encrypt(ctx, key, in.Plaintext, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &awskms.EncryptOutput{
		CiphertextBlob: blob, KeyId: aws.String(key.ARN()), EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	}, nil
}

// Decrypt opens a ciphertext. The key is the one that made it; KeyId, if given, must name it.
func (s *Service) Decrypt(ctx context.Context, in *awskms.DecryptInput, _ ...func(*awskms.Options)) (*awskms.DecryptOutput, error) {
	id, blobErr := blobKeyID(in.CiphertextBlob)
	want := use{"kms:Decrypt", in.EncryptionContext}
	if blobErr != nil { // authorize all the same: a stranger learns nothing from a bad blob
		id = aws.ToString(in.KeyId)
		if err := s.auth.Authorize(ctx, cloister.Access{Action: want.action, Resource: s.requested(ctx, id)}); err != nil {
			return nil, err
		}
		return nil, cloister.Errorf("InvalidCiphertextException", "")
	}
	key, err := s.forUse(ctx, id, want, in.GrantTokens, in.EncryptionAlgorithm, nil)
	if err != nil {
		if cloister.Code(err) == "NotFoundException" { // the key is gone, or of another region or account
			return nil, cloister.Errorf("AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
		}
		return nil, err
	}
	if err := noRecipient(in.Recipient); err != nil {
		return nil, err
	}
	if in.KeyId != nil {
		named, err := s.resolve(ctx, *in.KeyId)
		if errors.Is(err, ErrNotFound) {
			return nil, notFoundError(ctx, s.account, *in.KeyId)
		}
		if err != nil {
			return nil, err
		}
		if named.ID != key.ID {
			return nil, cloister.Errorf("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
		}
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	plaintext, err := s.decrypt(ctx, key, in.CiphertextBlob, in.EncryptionContext)
	if errors.Is(err, errBlob) {
		return nil, cloister.Errorf("InvalidCiphertextException", "")
	}
	if err != nil {
		return nil, err
	}
	return &awskms.DecryptOutput{
		Plaintext: plaintext, KeyId: aws.String(key.ARN()), KeyMaterialId: aws.String(key.MaterialID),
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	}, nil
}

// GenerateDataKey makes a data key of 1 to 1024 bytes, in the clear and sealed under a key.
func (s *Service) GenerateDataKey(ctx context.Context, in *awskms.GenerateDataKeyInput, _ ...func(*awskms.Options)) (*awskms.GenerateDataKeyOutput, error) {
	key, plaintext, blob, err := s.dataKey(ctx, dataKeyRequest{
		id: aws.ToString(in.KeyId), use: use{"kms:GenerateDataKey", in.EncryptionContext}, spec: in.KeySpec,
		size: in.NumberOfBytes, tokens: in.GrantTokens, dryRun: in.DryRun, recipient: in.Recipient,
	})
	if err != nil {
		return nil, err
	}
	return &awskms.GenerateDataKeyOutput{
		Plaintext: plaintext, CiphertextBlob: blob, KeyId: aws.String(key.ARN()), KeyMaterialId: aws.String(key.MaterialID),
	}, nil
}

// GenerateDataKeyWithoutPlaintext makes a data key and returns it only sealed.
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *awskms.GenerateDataKeyWithoutPlaintextInput, _ ...func(*awskms.Options)) (*awskms.GenerateDataKeyWithoutPlaintextOutput, error) {
	key, plaintext, blob, err := s.dataKey(ctx, dataKeyRequest{
		id: aws.ToString(in.KeyId), use: use{"kms:GenerateDataKeyWithoutPlaintext", in.EncryptionContext}, spec: in.KeySpec,
		size: in.NumberOfBytes, tokens: in.GrantTokens, dryRun: in.DryRun,
	})
	clear(plaintext)
	if err != nil {
		return nil, err
	}
	return &awskms.GenerateDataKeyWithoutPlaintextOutput{
		CiphertextBlob: blob, KeyId: aws.String(key.ARN()), KeyMaterialId: aws.String(key.MaterialID),
	}, nil
}

type dataKeyRequest struct {
	id     string
	use    use
	spec   types.DataKeySpec
	size   *int32
	tokens []string
	dryRun *bool
	// recipient asks for an answer that only a Nitro Enclave can read.
	recipient *types.RecipientInfo
}

// noRecipient refuses what cannot be honoured, after the caller was authorized.
func noRecipient(r *types.RecipientInfo) error {
	if r != nil {
		return unsupported("Recipient (Nitro Enclaves) is not supported")
	}
	return nil
}

func (s *Service) dataKey(ctx context.Context, r dataKeyRequest) (key Key, plaintext, blob []byte, err error) {
	key, err = s.forUse(ctx, r.id, r.use, r.tokens, "", nil)
	if err != nil {
		return Key{}, nil, nil, err
	}
	if err := noRecipient(r.recipient); err != nil {
		return Key{}, nil, nil, err
	}
	size := 0
	switch {
	case (r.spec == "") == (r.size == nil):
		return Key{}, nil, nil, invalid("Please specify either number of bytes or key spec.")
	case r.spec == types.DataKeySpecAes256:
		size = 32
	case r.spec == types.DataKeySpecAes128:
		size = 16
	default:
		size = int(*r.size)
	}
	if err := dryRun(r.dryRun); err != nil {
		return Key{}, nil, nil, err
	}
	plaintext = make([]byte, size)
	if _, err := rand.Read(plaintext); err != nil {
		return Key{}, nil, nil, err
	}
	blob, err = s.encrypt(ctx, key, plaintext, r.use.context)
	return key, plaintext, blob, err
}

// forUse finds, authorizes and checks a key for cryptography, in KMS's order: permission, then state.
func (s *Service) forUse(ctx context.Context, id string, u use, tokens []string, algorithm types.EncryptionAlgorithmSpec, dry *bool) (Key, error) {
	key, err := s.key(ctx, id, u)
	if err != nil {
		return Key{}, err
	}
	if err := s.checkTokens(ctx, tokens); err != nil {
		return Key{}, err
	}
	if algorithm != "" && algorithm != types.EncryptionAlgorithmSpecSymmetricDefault {
		return Key{}, cloister.Errorf("InvalidKeyUsageException", "%s key usage is ENCRYPT_DECRYPT with SYMMETRIC_DEFAULT, which is not valid for %s.", key.ARN(), algorithm)
	}
	if err := key.usable(); err != nil {
		return Key{}, err
	}
	return key, dryRun(dry)
}
