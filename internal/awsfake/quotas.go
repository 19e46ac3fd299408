package awsfake

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas/types"

	"example.com/cloister"
)

// The one quota that there is. Source: Service Quotas console, Amazon Bedrock.
const (
	jobQuotaCode = "L-0406044C"
	jobQuotaName = "(Model customization) Scheduled customization jobs"
)

func listQuotas(c *call, in *servicequotas.ListServiceQuotasInput) (*servicequotas.ListServiceQuotasOutput, error) {
	if aws.ToString(in.ServiceCode) != "bedrock" {
		return nil, cloister.Errorf("NoSuchResourceException", "The request failed because the specified service does not exist.")
	}
	all := keep([]types.ServiceQuota{{
		ServiceCode: in.ServiceCode, ServiceName: aws.String("Amazon Bedrock"), QuotaCode: aws.String(jobQuotaCode), QuotaName: aws.String(jobQuotaName),
		QuotaArn: aws.String(c.arn("servicequotas", "bedrock/"+jobQuotaCode)), Value: aws.Float64(float64(c.region.jobQuota)), Unit: aws.String("None"),
	}}, equal(in.QuotaCode, func(q types.ServiceQuota) *string { return q.QuotaCode }))
	items, next := page(c, all, in.MaxResults, 0)
	return &servicequotas.ListServiceQuotasOutput{Quotas: items, NextToken: next}, nil
}
