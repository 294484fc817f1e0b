package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Kind of facts.
type Kind int64

// Kinds of facts.
const (
	Calls    Kind = iota // main records, telemarketing
	BotCalls             // main records, bot
	Parties              // party records of agents, telemarketing
	States               // states of agents
	kinds
)

// SlotMS is the length of the time whose facts make a block.
const SlotMS = 60 * 60 * 1000

// Class is everything that indicators ask of a fact, apart from its figures.
type Class struct {
	Flags  Flags
	Route  string // of calls: firstRouteId
	Reason int64  // of states
	Work   int64  // of states
}

// Key is what rows are made of: the relay number of a call; agent and departments
// of a party; the agent of a state.
type Key struct {
	Name        string
	Departments string // a|b
}

// Customer stands for a customer's number: two are equal if the numbers are.
type Customer [16]byte

// Fact is one record, or one state.
type Fact struct {
	Start int64 // Unix ms
	Key   Key
	Class Class

	Talk      int64    // of a call or party, s; of a state its end, Unix ms
	Total     int64    // of a call or party, s
	AgentTalk int64    // of a call, s; of a party the number of its call, which tells calls apart
	Customer  Customer // of a call; zero if it has no number
}

// End returns the end of a state, Unix ms.
func (f *Fact) End() int64 { return f.Talk }

// Block holds the facts of one kind whose start is in one slot, as columns in the order of
// their start: a report looks at millions of facts.
type Block struct {
	Slot    int64 // Unix ms
	Keys    []Key
	Classes []Class

	Starts   []uint32 // ms after Slot
	Key      []uint32 // index of Keys
	Class    []uint32 // index of Classes
	Talk     []int64
	Total    []int64
	Third    []int64 // AgentTalk
	Customer []Customer
}

// Len is the number of facts.
func (b *Block) Len() int { return len(b.Starts) }

// NewBlock returns the block of a kind's facts, whose start is in [slot, slot+SlotMS).
func NewBlock(k Kind, slot int64, facts []Fact) *Block {
	// A fact is large: start and index are sorted instead.
	order := make([]uint64, len(facts))
	for i := range facts {
		order[i] = uint64(facts[i].Start-slot)<<32 | uint64(i)
	}
	slices.Sort(order)

	b := &Block{Slot: slot}
	keys, classes := map[Key]uint32{}, map[Class]uint32{}
	for _, at := range order {
		f := &facts[uint32(at)]
		b.Starts = append(b.Starts, uint32(f.Start-slot))
		b.Key = append(b.Key, numbered(keys, &b.Keys, f.Key))
		b.Class = append(b.Class, numbered(classes, &b.Classes, f.Class))
		b.Talk = append(b.Talk, f.Talk)
		if k != States {
			b.Total = append(b.Total, f.Total)
			b.Third = append(b.Third, f.AgentTalk)
		}
		if k == Calls || k == BotCalls {
			b.Customer = append(b.Customer, f.Customer)
		}
	}
	return b
}

// numbered returns the index of a value in a list without repetitions, to which it is added
// if need be.
func numbered[T comparable](indexes map[T]uint32, list *[]T, v T) uint32 {
	i, there := indexes[v]
	if !there {
		i = uint32(len(*list))
		indexes[v] = i
		*list = append(*list, v)
	}
	return i
}

// blockFormat is the first byte of an encoded block.
const blockFormat = 1

// Append appends the encoded form of the block.
func (b *Block) Append(to []byte) []byte {
	to = append(to, blockFormat)

	// The keys and classes that the columns number.
	to = binary.AppendUvarint(to, uint64(len(b.Keys)))
	for _, k := range b.Keys {
		to = appendText(appendText(to, k.Name), k.Departments)
	}
	to = binary.AppendUvarint(to, uint64(len(b.Classes)))
	for _, c := range b.Classes {
		to = appendText(binary.AppendUvarint(to, uint64(c.Flags)), c.Route)
		to = binary.AppendVarint(binary.AppendVarint(to, c.Reason), c.Work)
	}

	// The columns.
	to = binary.AppendUvarint(to, uint64(len(b.Starts)))
	for _, column := range [][]uint32{b.Starts, b.Key, b.Class} {
		to = appendColumn(to, column)
	}
	for _, column := range [][]int64{b.Talk, b.Total, b.Third} {
		to = appendColumn(to, column)
	}
	to = binary.AppendUvarint(to, uint64(len(b.Customer)))
	for i := range b.Customer {
		to = append(to, b.Customer[i][:]...)
	}
	return to
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// appendColumn appends each value as its distance from the least one, all in as few bytes as
// the greatest distance needs: that is read fast, and compresses well.
func appendColumn[T uint32 | int64](to []byte, column []T) []byte {
	to = binary.AppendUvarint(to, uint64(len(column)))
	if len(column) == 0 {
		return to
	}
	least := slices.Min(column)
	width := widthOf(uint64(slices.Max(column)) - uint64(least))
	to = append(binary.AppendVarint(to, int64(least)), byte(width))

	for _, v := range column {
		d := uint64(v) - uint64(least)
		switch width {
		case 1:
			to = append(to, byte(d))
		case 2:
			to = binary.LittleEndian.AppendUint16(to, uint16(d))
		case 4:
			to = binary.LittleEndian.AppendUint32(to, uint32(d))
		case 8:
			to = binary.LittleEndian.AppendUint64(to, d)
		}
	}
	return to
}

// widthOf returns how many bytes a distance needs; 0 for the distance 0.
func widthOf(d uint64) int {
	switch {
	case d == 0:
		return 0
	case d < 1<<8:
		return 1
	case d < 1<<16:
		return 2
	case d < 1<<32:
		return 4
	}
	return 8
}

var errBlock = errors.New("block of facts is damaged")

// ReadBlock is the inverse of Append.
func ReadBlock(slot int64, raw []byte) (*Block, error) {
	if len(raw) == 0 || raw[0] != blockFormat {
		return nil, fmt.Errorf("%w: unknown format", errBlock)
	}
	d := &decoder{raw: raw[1:]}
	b := &Block{Slot: slot}

	// The keys and classes that the columns number.
	b.Keys = make([]Key, d.count(2))
	for i := range b.Keys {
		b.Keys[i] = Key{d.text(), d.text()}
	}
	b.Classes = make([]Class, d.count(4))
	for i := range b.Classes {
		b.Classes[i] = Class{Flags(d.uint(1<<32 - 1)), d.text(), d.int(), d.int()}
	}

	// The columns.
	n := d.count(0)
	b.Starts = column[uint32](d)
	b.Key = column[uint32](d)
	b.Class = column[uint32](d)
	b.Talk = column[int64](d)
	b.Total = column[int64](d)
	b.Third = column[int64](d)
	b.Customer = make([]Customer, d.count(len(Customer{})))
	for i := range b.Customer {
		copy(b.Customer[i][:], d.raw)
		d.raw = d.raw[len(Customer{}):]
	}
	if d.bad || len(d.raw) > 0 || !b.sound(n) {
		return nil, errBlock
	}
	return b, nil
}

// sound reports whether the columns of n facts fit together.
func (b *Block) sound(n int) bool {
	whole := func(have int) bool { return have == n || have == 0 }
	if len(b.Starts) != n || len(b.Key) != n || len(b.Class) != n || len(b.Talk) != n ||
		!whole(len(b.Total)) || len(b.Third) != len(b.Total) || !whole(len(b.Customer)) {
		return false
	}
	if n == 0 {
		return true
	}
	return b.Starts[n-1] < SlotMS && slices.IsSorted(b.Starts) &&
		int(slices.Max(b.Key)) < len(b.Keys) && int(slices.Max(b.Class)) < len(b.Classes)
}

// decoder reads what is left of an encoded block.
type decoder struct {
	raw []byte
	bad bool // what was there could not be read
}

// fail makes the decoder bad. Nothing is left to be read.
func (d *decoder) fail() {
	d.bad = true
	d.raw = nil
}

// uint reads a number up to a greatest one.
func (d *decoder) uint(most uint64) uint64 {
	if len(d.raw) > 0 && d.raw[0] < 0x80 && uint64(d.raw[0]) <= most { // nearly all are such
		v := d.raw[0]
		d.raw = d.raw[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.raw)
	if n <= 0 || v > most {
		d.fail()
		return 0
	}
	d.raw = d.raw[n:]
	return v
}

func (d *decoder) int() int64 {
	u := d.uint(1<<64 - 1)
	return int64(u>>1) ^ -int64(u&1)
}

// maxFacts bounds a block: a fact may take no byte at all in a column.
const maxFacts = 1 << 26

// count reads how many things follow, each of which takes some bytes at least.
func (d *decoder) count(each int) int {
	n := d.uint(maxFacts)
	if n > uint64(len(d.raw)/max(each, 1)) && each > 0 {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count(1)
	s := string(d.raw[:n])
	d.raw = d.raw[n:]
	return s
}

// column is the inverse of appendColumn.
func column[T uint32 | int64](d *decoder) []T {
	n := d.count(0)
	if n == 0 {
		return nil
	}
	least := T(d.int())
	width := int(d.uint(8))
	if !slices.Contains([]int{0, 1, 2, 4, 8}, width) || n*width > len(d.raw) || d.bad {
		d.fail()
		return nil
	}

	all := make([]T, n)
	raw := d.raw[:n*width]
	d.raw = d.raw[n*width:]
	switch width {
	case 0:
		for i := range all {
			all[i] = least
		}
	case 1:
		for i := range all {
			all[i] = least + T(raw[i])
		}
	case 2:
		for i := range all {
			all[i] = least + T(binary.LittleEndian.Uint16(raw[2*i:]))
		}
	case 4:
		for i := range all {
			all[i] = least + T(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case 8:
		for i := range all {
			all[i] = least + T(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	}
	return all
}
