package wire

import (
	"reflect"

	bedrock "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
)

// unionMembers are the SDK's wrapper types of unions, by shape and member. Reflection cannot find them: each
// new union needs its lines here, and Service.Audit names what is missing.
func unionMembers() map[string]reflect.Type {
	return map[string]reflect.Type{
		"CustomizationConfig.distillationConfig": reflect.TypeFor[bedrock.CustomizationConfigMemberDistillationConfig](),
		"CustomizationConfig.rftConfig":          reflect.TypeFor[bedrock.CustomizationConfigMemberRftConfig](),
		"GraderConfig.lambdaGrader":              reflect.TypeFor[bedrock.GraderConfigMemberLambdaGrader](),
		"InvocationLogSource.s3Uri":              reflect.TypeFor[bedrock.InvocationLogSourceMemberS3Uri](),
		"ModelDataSource.s3DataSource":           reflect.TypeFor[bedrock.ModelDataSourceMemberS3DataSource](),
		"RequestMetadataFilters.equals":          reflect.TypeFor[bedrock.RequestMetadataFiltersMemberEquals](),
		"RequestMetadataFilters.notEquals":       reflect.TypeFor[bedrock.RequestMetadataFiltersMemberNotEquals](),
		"RequestMetadataFilters.andAll":          reflect.TypeFor[bedrock.RequestMetadataFiltersMemberAndAll](),
		"RequestMetadataFilters.orAll":           reflect.TypeFor[bedrock.RequestMetadataFiltersMemberOrAll](),
	}
}
