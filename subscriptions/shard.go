package subscriptions

// Shards is the number of fixed slices of the subscriptions. One process owns a
// shard at a time, and it alone sends what is in there.
const Shards = 64

// Shard is where a subscription belongs, by its number. It never changes: what
// one version of the hub sends from one shard, another must not from a second.
func Shard(no int64) int { return int(uint64(no) % Shards) }
