package collect

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// TestReadable: accounts are left out only when they are certainly shut, with and without the Status that AWS retired.
func TestReadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		account types.Account
		want    bool
	}{
		{types.Account{State: types.AccountStateActive}, true},
		{types.Account{State: types.AccountStatePendingClosure}, true},
		{types.Account{State: types.AccountStateSuspended}, false},
		{types.Account{State: types.AccountStateClosed}, false},
		{types.Account{State: types.AccountStatePendingActivation}, false},
		{types.Account{State: "SOMETHING_NEW"}, true},
		{types.Account{Status: types.AccountStatusActive}, true},
		{types.Account{Status: types.AccountStatusSuspended}, false},
		{types.Account{}, true},
	} {
		if got := readable(c.account); got != c.want {
			t.Errorf("readable(state %q, status %q) = %v, want %v", c.account.State, c.account.Status, got, c.want)
		}
	}
}
