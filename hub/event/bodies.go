package event

import "strings"

// What the gate knows about the body of each type, as data. The field tables are those
// of Sobot's "Data Service API" (main, party and bot talk lists, agent status callback,
// call event), with the keys that occur only in its examples, and the queue, chat and
// visitor events of our own contract. Fields that are in no table pass untouched.

// kind says how a known field is read. null is absent in all kinds. So is "", which is
// worth a warning in all kinds but texts.
type kind uint8

const (
	text    kind = iota // a string; an integer stands for its digits
	integer             // an integer within int64, however it is spelled, or a string of its digits
	instant             // an integer, Unix ms; 0 or less is absent
	count               // an integer that makes no sense below 0: seconds, minutes, how many
	number              // any JSON number, or a string of one
	boolean             // true, false, or a string of them
	nested              // an object or an array, or a string that holds one
)

func (k kind) String() string {
	return [...]string{
		"a string", "an integer", "a time in Unix ms", "an integer", "a number", "true or false",
		"an object, an array or a string",
	}[k]
}

// slot names the fields that the gate itself needs the value of.
type slot uint8

const (
	none slot = iota
	companyID
	messageID
	callID
	partyID
	agentUUID
	agentID
	contactID
	queueID
	chatID
	visitorID
	toAgentUUID
	toDepartmentID
	media
	startTime
	endTime
	creationTime
	enteredAt
	leftAt
	at
	slots
)

// slotNames are the names of the fields, in the spelling of the bodies. Call events write partyID, all
// others partyId; each has its own table, so nothing mixes.
var slotNames = [slots]string{
	companyID: "companyId", messageID: "messageID", callID: "callID", partyID: "partyId", agentUUID: "agentUUID",
	agentID: "agentID", contactID: "contactId", queueID: "queueId", chatID: "chatId", visitorID: "visitorId",
	toAgentUUID: "toAgentUUID", toDepartmentID: "toDepartmentId", media: "media", startTime: "startTime",
	endTime: "endTime", creationTime: "creationTime", enteredAt: "enteredAt", leftAt: "leftAt", at: "at",
}

// identities are the slots that make order keys and are looked up later, so they must be
// short and printable.
const identities = 1<<callID | 1<<partyID | 1<<agentUUID | 1<<agentID | 1<<contactID | 1<<queueID | 1<<chatID | 1<<visitorID

// field is a known field of a body.
type field struct {
	name   string
	kind   kind
	slot   slot
	no     int      // its number in the table, by which the gate finds a repeated field
	codes  []int64  // the values that have a meaning; nil: all
	words  []string // the same for texts
	closed bool     // another word is refused, not only odd
	lo, hi float64  // range of a number; both 0: no bounds
}

// body is what the gate knows about the body of a type.
type body struct {
	fields map[string]*field
	needs  [][]slot // at least one field of each group must be there
	oneOf  []slot   // exactly one of these must be there
	key    string   // what the order key begins with
	parts  []slot   // what follows in the order key, with "/" between
}

// fields returns fields of one kind, by names that blanks separate.
func fields(k kind, names string) (fs []field) {
	for name := range strings.FieldsSeq(names) {
		fs = append(fs, field{name: name, kind: k})
	}
	return fs
}

// code returns an integer field with the codes that have a meaning.
func code(name string, codes ...int64) []field {
	return []field{{name: name, kind: integer, codes: codes}}
}

// word returns a text field with the words that have a meaning.
func word(name string, words ...string) []field {
	return []field{{name: name, kind: text, words: words}}
}

// table joins groups of fields into one table, by name.
func table(groups ...[]field) map[string]*field {
	m := map[string]*field{}
	for _, fs := range groups {
		for _, f := range fs {
			for s, name := range slotNames {
				if name == f.name {
					f.slot = slot(s)
				}
			}
			if m[f.name] != nil {
				panic("event: field " + f.name + " twice in one body")
			}
			f.no = len(m)
			m[f.name] = &f
		}
	}

	if len(m) > maxFields {
		panic("event: a body with more fields than the gate can tick off")
	}
	return m
}

// needs lists the groups of which a body must have at least one field each.
func needs(alternatives ...[]slot) [][]slot { return alternatives }

func one(s ...slot) []slot { return s }

var (
	common = union(fields(text, "companyId messageID"), fields(instant, "creationTime"), fields(integer, "referenceID"))

	mainDialType = word("mainDialType", "Inbound", "RegularMakeCall", "ClickToCallback", "TwoWayToPSTN", "Internal",
		"PreviewOutbound", "PredictiveOutbound")
	callResult = code("callResult", 1, 2, 3, 4, 5, 6, 7, 8, 9, 21, 22)
	hangup     = code("hangupDisposition", 1, 2, 3)
	callType   = code("callType", 1, 2, 3)
	dialType   = code("dialType", 1, 2, 3, 4, 5, 6)
	sourceType = code("sourceType", 0, 1, 2, 3, 4, 5, 6, 7)
	numberType = code("numberType", 1, 2, 3, 4, 5, 6, 7, 8)
	noAnswer   = word("reasonOfNotAnswer", "OTHER_RINGBACK", "OUT_OF_SERVICE", "DOES_NOT_EXIST", "POWER_OFF", "BUSY_NOW",
		"NOT_ANSWER", "LINE_INTERCEPTION", "CUSTOMER_REJECTION", "CUSTOMER_NUM_BLACKLIST", "GATEWAY_NUM_DISABLE", "ARREARS",
		"ROUTE_UNCOMPLETE", "NO_ROUTE_MATCH")

	// What main records of people and of bots share, and party records.
	mainFields = union(common, mainDialType, callResult, hangup, callType, sourceType, numberType, noAnswer,
		fields(text, `callID customerNumber areaCode areaProvince areaCity customerId gatewayNumber recordUrl platformId
			firstRouteId firstRouteName belongAgentUUID belongAgentID belongAgentName belongAgentDN belongAgentPhoneType
			belongAgentPSTN firstCallAgentUUID firstCallAgentID firstCallAgentName firstAgentUUID firstAgentID
			firstAgentName firstAgentDN firstAgentPstn lastAgentUUID lastAgentName lastAgentID lastAgentDN lastAgentPstn
			departmentId chargeDepartmentId sourceId sourceCode sourceRecordSubId sourceRecordSubCode sourceRecordMainId
			sourceRecordMainCode`),
		fields(instant, "startTime alertTime answerTime bridgeTime endTime"),
		fields(count,
			"alertDuration accumAgentRingingDuration duration totalDuration feeSeconds feeMinutes transferCount consultCount"),
		fields(integer, "firstAgentPhoneType lastAgentPhoneType"),
		fields(number, "fee"),
		fields(boolean, "inboundTransferedHumanAgent"),
	)
	partyFields = union(common, hangup, callType, numberType,
		code("callResult", 1, 2, 3),
		code("agentRole", 2, 4, 5),
		code("phoneType", 0, 1, 2, 3, 4, 5),
		fields(text, `callID partyId agentUUID agentID agentName agentDN DNIS gatewayNumber platformId departmentId
			chargeDepartmentId fromAgentUUID fromAgentID fromAgentName`),
		fields(instant, "startTime alertTime answerTime bridgeTime endTime afterworkEndTime"),
		fields(count, "duration totalDuration feeSeconds feeMinutes"),
		fields(integer, "agentType"),
		fields(number, "fee"),
		fields(boolean, "belongAgentFlag lastAgentFlag"),
	)
	reasonCodes = []int64{0, 2, 4, 11, 12, 13, 14, 15, 16, 17, 18, 97, 98, 99}

	callFields = table(common, mainDialType, callResult, hangup, dialType,
		// Words in Sobot's call events; the numbers are those of its records.
		word("callType", "Inbound", "Outbound", "Internal", "Consult", "1", "2", "3"),
		word("partyRole", "Customer", "Agent", "VirtualAgent", "Supervisor", "ThirdPSTN"),
		fields(text, `callID partyID ANI DNIS thisDN thisDNRole otherDN otherDNRole thirdDN thirdDNRole agentID agentUUID
			agentName thisQueue dtmfDigits hangupCause errorMessage`),
		fields(integer, "errorCode"),
		fields(nested, "attachedData thisQueues changedKeys"),
	)
	queueFields = table(common, callType,
		[]field{{name: "media", kind: text, words: []string{"call", "chat"}, closed: true}},
		word("outcome", "answered", "abandoned", "switched_to_message", "transferred", "timed_out"),
		fields(text, `contactId queueId queueName departmentId groupId agentUUID strategy campaignId gatewayNumber
			customerNumber visitorId contactIdentityId`),
		fields(instant, "enteredAt leftAt"),
	)
	chatFields = table(common,
		word("handledBy", "agent", "bot"),
		word("reason", "closed", "abandoned", "switched_to_message"),
		fields(text, "chatId visitorId contactIdentityId departmentId queueId agentUUID toAgentUUID toDepartmentId"),
		fields(instant, "at"),
		fields(boolean, "invited"),
		fields(count, "agentReplies agentResponseMs"),
		[]field{{name: "score", kind: number, lo: 1, hi: 5}},
	)
	visitorFields = table(common, fields(text, "visitorId contactIdentityId"), fields(instant, "at"))
)

// union joins groups of fields.
func union(groups ...[]field) (fs []field) {
	for _, g := range groups {
		fs = append(fs, g...)
	}
	return fs
}

var (
	callBody    = &body{fields: callFields, needs: needs(one(callID)), key: "call/", parts: one(callID)}
	queueParts  = one(contactID)
	chatBody    = &body{fields: chatFields, needs: needs(one(chatID), one(at)), key: "chat/", parts: one(chatID)}
	visitorBody = &body{
		fields: visitorFields, needs: needs(one(visitorID), one(at)), key: "visitor/", parts: one(visitorID),
	}
	// The hub's own events carry what the hub puts there.
	ownBody = &body{fields: table(common)}
)

var bodies = [end]*body{
	CDRCall: {
		fields: table(mainFields,
			fields(text, `screenNumber encryptCustomerNumber areaPrefix earlyDetectCause callerNumber callerAgentUUID
			callerDN calleeNumber calleeAgentUUID calleeDN`),
			fields(nested, "attachedData"),
		),
		needs: needs(one(callID)), key: "cdr/", parts: one(callID),
	},
	CDRParty: {
		fields: table(partyFields, dialType, fields(text, "earlyDetectCause")),
		needs:  needs(one(callID), one(partyID)), key: "cdr/", parts: one(callID, partyID),
	},
	CDRBotCall: {
		fields: table(mainFields,
			word("transferToThirdPartySystem", "NonTransfer", "TransferNonAnswer", "TransferAndAnswer"),
			word("transferToThirdPartyNumber", "NonTransfer", "TransferNonAnswer", "TransferAndAnswer"),
			fields(text, "intentClassify intentName"),
			fields(instant, "userStartTime"),
			fields(count, "waitingForHumanAnswerDuration virtualAgentCallDuration totalCustomerRepliesToVirtualAgentCount"),
			fields(nested, "userData variablesCollectedDuringCall dialogue attachedData"),
		),
		needs: needs(one(callID)), key: "bot/", parts: one(callID),
	},
	CDRBotParty: {
		fields: table(partyFields, dialType,
			fields(text, "fromQueueID fromQueueName intentTagClassify intentTagName"),
			fields(count, "alertDuration customerRepliesToVirtualAgentCount"),
		),
		needs: needs(one(callID), one(partyID)), key: "bot/", parts: one(callID, partyID),
	},
	AgentStatus: {
		fields: table(common, dialType,
			word("msgType", "agent_working_status_changed_successfully"),
			word("callType", "0", "1", "2", "3"), // a string here, unlike in the records
			code("loginStatus", -1, 0, 1, 2, 98),
			// Sobot's callback says notReadyStatus, its log API noReadyStatus.
			code("notReadyStatus", reasonCodes...),
			code("noReadyStatus", reasonCodes...),
			code("workStatus", 0, 1, 2, 4, 5, 6, 7, 8, 98),
			fields(text, "agentUUID agentID agentName callID partyId"),
			fields(instant, "startTime"),
			fields(nested, "attachedData"),
		),
		needs: needs(one(startTime), one(agentUUID, agentID)), key: "agent/", parts: one(agentUUID),
	},

	CallCreated: callBody, CallDeleted: callBody, CallRinging: callBody, CallDialing: callBody, CallEstablished: callBody,
	CallReleased: callBody, CallHeld: callBody, CallRetrieved: callBody, CallAttachedDataChanged: callBody,
	CallDTMFSent:   callBody,
	CallPartyAdded: callBody, CallPartyDeleted: callBody, CallPartyChanged: callBody,
	CallPartyError: {fields: callFields, needs: needs(one(callID, agentUUID, agentID)), key: "call/", parts: one(callID)},
	CallAgentError: {fields: callFields, needs: needs(one(agentUUID, agentID)), key: "call/", parts: one(callID)},

	QueueEntered: {
		fields: queueFields, key: "queue/", parts: queueParts,
		needs: needs(one(contactID), one(media), one(queueID), one(enteredAt)),
	},
	QueueLeft: {
		fields: queueFields, key: "queue/", parts: queueParts,
		needs: needs(one(contactID), one(media), one(queueID), one(leftAt)),
	},
	ChatRequested: chatBody, ChatAccepted: chatBody, ChatMissed: chatBody, ChatEnded: chatBody, ChatRated: chatBody,
	ChatTransferred: {
		fields: chatFields, needs: chatBody.needs, oneOf: one(toAgentUUID, toDepartmentID),
		key: chatBody.key, parts: chatBody.parts,
	},
	VisitorArrived: visitorBody, VisitorLeft: visitorBody,

	SubscriptionPaused: ownBody, SubscriptionResumed: ownBody, DeliveryExhausted: ownBody, Test: ownBody,
	LimitWarning:    ownBody,
	SourceRejecting: ownBody, SourceSilent: ownBody,
}
