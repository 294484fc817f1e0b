package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

var (
	firstNames = []string{
		"Ada", "Ben", "Chen", "Dara", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jon", "Kim", "Lea", "Mei",
		"Noor", "Omar", "Pia", "Quinn", "Ravi", "Sam", "Tom", "Uma", "Vera", "Wei", "Yan", "Zoë",
	}
	lastNames = []string{
		"Ang", "Berg", "Costa", "Diaz", "Evans", "Fong", "Goh", "Haddad", "Ito", "Jung", "Khan", "Lim",
		"Müller", "Ng", "Okafor", "Patel", "Quek", "Rossi", "Silva", "Tan", "Usman", "Vogel", "Wong", "Xu",
		"Young",
	}

	departments = []string{"d4c81a0e5f2b47d0", "d7e02b9164ca4f33", "da91f3c6028e4b75"}
	gateways    = []string{"01088881234", "01088885678", "4008001234"}
	intents     = []string{"billing", "delivery", "new contract", "fault", "complaint", "cancel"}
	notes       = []string{"call back tomorrow", "sent the form", "said \"thank you\"", "wants a refund", "张先生, VIP"}

	queues = [...]struct{ id, name, group string }{
		{"q-sales", "Sales", "g-front"}, {"q-service", "Service", "g-front"}, {"q-billing", "Billing", "g-back"},
	}

	areas = []struct{ code, province, city string }{
		{"010", "Beijing", "Beijing"},
		{"021", "Shanghai", "Shanghai"},
		{"020", "Guangdong", "Guangzhou"},
		{"0755", "Guangdong", "Shenzhen"},
		{"028", "Sichuan", "Chengdu"},
	}

	// failures says why a call does not ring at the other end.
	failures = []struct{ cause, reason string }{
		{"UNALLOCATED_NUMBER", "DOES_NOT_EXIST"},
		{"USER_BUSY", "BUSY_NOW"},
		{"SUBSCRIBER_ABSENT", "POWER_OFF"},
		{"NETWORK_OUT_OF_ORDER", "OUT_OF_SERVICE"},
		{"NO_ROUTE_DESTINATION", "NO_ROUTE_MATCH"},
	}
)

// customers is how many people there are to call and be called by.
const customers = 50_000

type customer struct {
	id, number, name     string
	area, province, city string
}

// newCustomer makes the i-th customer of a company, who is the same person in every
// story.
func newCustomer(company string, i int) customer {
	h := sha256.Sum256(fmt.Appendf(nil, "customer|%s|%d", company, i))
	area := areas[int(h[0])%len(areas)]
	return customer{
		id:     hex.EncodeToString(h[16:32]),
		number: fmt.Sprintf("138%08d", (i*7919+int(h[1]))%100_000_000),
		name:   firstNames[int(h[2])%len(firstNames)] + " " + lastNames[int(h[3])%len(lastNames)],
		area:   area.code, province: area.province, city: area.city,
	}
}
