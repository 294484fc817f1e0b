package subscriptions

// Shards is the number of fixed slices of the subscriptions. A shard has one owner at
// a time, a process, and only the owner sends what is in it.
const Shards = 64

// Shard returns where a subscription belongs, by its number. The rule never changes:
// two versions of the hub, side by side, must find a subscription in the same shard.
func Shard(no int64) int { return int(uint64(no) % Shards) }
