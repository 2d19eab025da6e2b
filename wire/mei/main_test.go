package mei

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/outband/outband/internal/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var unhex = wiretest.Hex
