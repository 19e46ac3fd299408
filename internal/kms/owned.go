package kms

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister"
	"example.com/cloister/internal/rootseal"
)

// Owned is a key that a service of Cloister owns, as AWS services own keys that customers neither see
// nor manage: it wraps data keys under the root seal and is in no list. It has the two methods of the
// SDK's client that sealing needs. It is safe for concurrent use.
//
// Source: KMS Developer Guide, "AWS owned keys".
type Owned struct {
	seal    rootseal.Seal
	service string
}

// NewOwned makes the owned key of a service, such as "s3". Keys of different services do not open each
// other's blobs.
func NewOwned(seal rootseal.Seal, service string) *Owned { return &Owned{seal, service} }

// GenerateDataKey makes a 32-byte data key, in the clear and wrapped. KeyId is ignored. The caller
// zeroes the plaintext.
func (o *Owned) GenerateDataKey(ctx context.Context, in *awskms.GenerateDataKeyInput, _ ...func(*awskms.Options)) (*awskms.GenerateDataKeyOutput, error) {
	plaintext := make([]byte, 32)
	if _, err := rand.Read(plaintext); err != nil {
		return nil, err
	}
	blob, err := o.seal.Wrap(ctx, plaintext, o.aad(in.EncryptionContext))
	if err != nil {
		return nil, fmt.Errorf("wrap data key: %w", err)
	}
	return &awskms.GenerateDataKeyOutput{Plaintext: plaintext, CiphertextBlob: blob, KeyId: aws.String(o.service)}, nil
}

// Decrypt opens a wrapped data key; the encryption context must be the one it was made with.
func (o *Owned) Decrypt(ctx context.Context, in *awskms.DecryptInput, _ ...func(*awskms.Options)) (*awskms.DecryptOutput, error) {
	plaintext, err := o.seal.Unwrap(ctx, in.CiphertextBlob, o.aad(in.EncryptionContext))
	if err != nil {
		return nil, cloister.Errorf("InvalidCiphertextException", "the wrapped data key cannot be opened").WithCause(err)
	}
	return &awskms.DecryptOutput{Plaintext: plaintext, KeyId: aws.String(o.service)}, nil
}

func (o *Owned) aad(encryptionContext map[string]string) []byte {
	return additional([]byte("cloister/kms/owned/v1:"+o.service+":"), encryptionContext)
}
