package delivery

// Nudge is what a lane is told, in one number, so that it travels in any message.
// A number of 0 or more is From alone.
type Nudge struct {
	// From is the number of the event from which on rows may have become visible
	// below others; 0: there are new rows behind those that the lane knows.
	From int64
	// Replays: the pending runs of replays changed.
	Replays bool
	// Again: runs that the lane may know have ended without it, so that it should
	// read everything again.
	Again bool
}

// Encode returns the nudge as a number.
func (n Nudge) Encode() int64 {
	if !n.Replays && !n.Again {
		return n.From
	}
	code := n.From << 2
	if n.Replays {
		code |= 1
	}
	if n.Again {
		code |= 2
	}
	return -code
}

// DecodeNudge returns the nudge that a number stands for.
func DecodeNudge(code int64) Nudge {
	if code >= 0 {
		return Nudge{From: code}
	}
	code = -code
	return Nudge{From: code >> 2, Replays: code&1 != 0, Again: code&2 != 0}
}

// And returns a nudge that says what both say.
func (n Nudge) And(other Nudge) Nudge {
	n.Replays = n.Replays || other.Replays
	n.Again = n.Again || other.Again
	if other.From > 0 && (n.From == 0 || other.From < n.From) {
		n.From = other.From
	}
	return n
}
