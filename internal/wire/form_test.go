package wire

import (
	"net/url"
	"testing"

	"example.com/cloister"
)

// TestUnknownParameters: in the ec2 protocol a parameter that means nothing is refused; it may have been what narrows a request.
func TestUnknownParameters(t *testing.T) {
	t.Parallel()
	text := &shape{Type: "string"}
	input := &shape{Type: typeStructure, Members: []*ref{
		{Name: "Ids", LocationName: "Id", shape: &shape{Type: typeList, Member: &ref{shape: text}}},
		{Name: "Name", LocationName: "Name", shape: text},
	}}
	for form, want := range map[string]string{
		"Action=Describe&Version=1&Id.1=a&Id.2=b&Name=c": "", "Id.0=a": "Id.0", "Id.1=a&Id.3=c": "Id.3", "Id.-1=a": "Id.-1", "Id=a": "Id", "Id=": "", "Nam=c": "Nam", "Name.1=c": "Name.1",
	} {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		for _, ec2 := range []bool{true, false} {
			f := newFormReader(values, ec2)
			f.members(input, "")
			err := f.unknown()
			switch {
			case !ec2 || want == "":
				if err != nil {
					t.Errorf("%s: %v", form, err)
				}
			case cloister.Code(err) != "UnknownParameter" || cloister.Message(err) != "The parameter "+want+" is not recognized":
				t.Errorf("%s: %v", form, err)
			}
		}
	}
}
