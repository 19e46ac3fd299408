package bedrock_test

import (
	"os"
	"testing"

	"example.com/cloister/internal/cloistertest"
)

func TestMain(m *testing.M) {
	cloistertest.Processes()
	os.Exit(m.Run())
}
