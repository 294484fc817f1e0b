package rabbit

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever comes, waits and is tried again: of each company all that was not refused
// comes out once and in order, and what is held stays within the bounds.
func TestOverflowProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 10_000
		companies := []string{"a", "b", "c"}
		o := newOverflow(most)
		now := time.Unix(0, 0)
		tag := uint64(0)
		waiting := map[string][]uint64{} // tags, as they must come out
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			company := rapid.SampledFrom(companies).Draw(t, "company")
			switch rapid.IntRange(0, 2).Draw(t, "act") {
			case 0: // one comes
				tag++
				d := amqp.Delivery{RoutingKey: company + ".call", DeliveryTag: tag, Body: make([]byte, rapid.IntRange(0, most/4).Draw(t, "bytes"))}
				if o.add(d, now.Add(time.Second)) {
					waiting[company] = append(waiting[company], tag)
				}
			case 1:
				now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "passes")) * time.Second)
			case 2: // some are tried, and the last of each company must wait again
				again := map[string][]amqp.Delivery{}
				for _, d := range o.due(now, rapid.IntRange(1, 10).Draw(t, "most"), most/2) {
					c := companyOf(d)
					if len(again[c]) == 0 && rapid.Bool().Draw(t, "taken") {
						require.Equal(t, waiting[c][0], d.DeliveryTag)
						waiting[c] = waiting[c][1:]
						o.free(d)
						continue
					}
					again[c] = append(again[c], d)
				}
				for _, ds := range again {
					o.putBack(ds, now.Add(time.Second))
				}
			}

			held := 0
			for c, b := range o.of {
				require.Len(t, b.messages, len(waiting[c]))
				for i, d := range b.messages {
					require.Equal(t, waiting[c][i], d.DeliveryTag)
					held += len(d.Body)
				}
			}
			require.EqualValues(t, held, o.bytes.Held())
			require.LessOrEqual(t, held, most)
			_, waits := o.next(now)
			require.Equal(t, !o.empty(), waits)
		}
	})
}
