package sobot_test

import (
	"testing"

	"github.com/hookline/hookline/hub/hubtest"
)

// eachStore runs a test against a hub on each database.
func eachStore(t *testing.T, test func(t *testing.T, h *hubtest.Hub)) {
	hubtest.Each(t, test)
}
