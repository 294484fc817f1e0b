package event

// Sample is a believable bare body of an event of type t, without companyId,
// which the gate fills in: one inbound call of two and a half minutes, a chat
// and a visitor of the same day. nil for what is no type.
func Sample(t Type) []byte {
	if t == 0 || t >= end {
		return nil
	}
	return []byte(`{"messageID":"` + names[t].messageID + `",` + samples[t] + `}`)
}

// The parts that all events of the sample call share.
const (
	sampleCall = `"referenceID":0,"callID":"6bf3cbb1ade54dcd9bf2a4f9fa0b2c11","callType":"Inbound","mainDialType":"Inbound",` +
		`"attachedData":"{\"customerName\":\"Li Na\",\"ticket\":\"T-20211116-118\"}"`
	sampleAgent = sampleCall + `,"partyID":"8af8e51f2a7d4f0d9d34b4b5b8c1a7e2","partyRole":"Agent","ANI":"13911110001","DNIS":"01088881234",` +
		`"thisDN":"1001","thisDNRole":"Destination","otherDN":"13911110001","otherDNRole":"Origination",` +
		`"agentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","agentID":"1001"`
	sampleThird = sampleAgent + `,"thirdDN":"1002"`
)

var samples = [end]string{
	CDRCall: `"creationTime":1637068408120,"referenceID":0,"callID":"6bf3cbb1ade54dcd9bf2a4f9fa0b2c11","callType":2,"mainDialType":"Inbound",` +
		`"screenNumber":"13911110001","customerNumber":"13911110001","encryptCustomerNumber":"139****0001","areaPrefix":"0","areaCode":"010",` +
		`"areaProvince":"Beijing","areaCity":"Beijing","customerId":"c-20418","gatewayNumber":"01088881234",` +
		`"startTime":1637068250000,"alertTime":1637068250000,"answerTime":1637068250400,"bridgeTime":1637068264200,"endTime":1637068408000,` +
		`"alertDuration":0,"accumAgentRingingDuration":8,"duration":144,"totalDuration":158,"callResult":8,"earlyDetectCause":"0",` +
		`"reasonOfNotAnswer":"","hangupDisposition":3,"attachedData":{"customerName":"Li Na","ticket":"T-20211116-118"},"recordUrl":"",` +
		`"platformId":"","feeSeconds":158,"feeMinutes":3,"firstRouteId":"r-7","firstRouteName":"Service hotline",` +
		`"belongAgentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","belongAgentID":"1001","belongAgentName":"Tom","belongAgentDN":"1001",` +
		`"belongAgentPhoneType":"1","belongAgentPSTN":"","transferCount":0,"consultCount":0,` +
		`"firstCallAgentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","firstCallAgentID":"1001","firstCallAgentName":"Tom",` +
		`"firstAgentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","firstAgentID":"1001","firstAgentName":"Tom","sourceType":0,"fee":0.45`,
	CDRParty: `"creationTime":1637068408130,"referenceID":0,"callID":"6bf3cbb1ade54dcd9bf2a4f9fa0b2c11","partyId":"8af8e51f2a7d4f0d9d34b4b5b8c1a7e2",` +
		`"callType":2,"dialType":1,"agentRole":2,"phoneType":1,"callResult":3,"hangupDisposition":1,"belongAgentFlag":true,"lastAgentFlag":true,` +
		`"agentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","agentID":"1001","agentName":"Tom","agentDN":"1001","DNIS":"","gatewayNumber":"",` +
		`"startTime":1637068256000,"alertTime":1637068256419,"answerTime":1637068264200,"bridgeTime":1637068264200,"endTime":1637068408000,` +
		`"duration":144,"totalDuration":152,"feeSeconds":144,"feeMinutes":3,"departmentId":"d-service","platformId":"","earlyDetectCause":"0","fee":0.45`,
	CDRBotCall: `"creationTime":1637071910150,"referenceID":0,"callID":"b91d0c7e55a0463f8f0b7de3c2a91f08","mainDialType":"PredictiveOutbound","callType":3,` +
		`"customerNumber":"13911110002","areaCode":"021","areaProvince":"Shanghai","areaCity":"Shanghai","customerId":"c-20991",` +
		`"gatewayNumber":"01088885678","inboundTransferedHumanAgent":false,"startTime":1637071850000,"userStartTime":1637071850000,` +
		`"alertTime":1637071852000,"answerTime":1637071860000,"bridgeTime":1637071860000,"endTime":1637071910000,` +
		`"waitingForHumanAnswerDuration":0,"virtualAgentCallDuration":50,"alertDuration":8,"duration":50,"totalDuration":60,"callResult":21,` +
		`"reasonOfNotAnswer":"","intentClassify":"A","intentName":"interested","totalCustomerRepliesToVirtualAgentCount":4,"hangupDisposition":3,` +
		`"userData":"{}","feeSeconds":50,"feeMinutes":1,"transferCount":0,"consultCount":0,"sourceType":4,"sourceId":"task-31",` +
		`"transferToThirdPartySystem":"NonTransfer","transferToThirdPartyNumber":"NonTransfer","dialogue":[{"phaseId":"1","phase":"VirtualAgent",` +
		`"startTime":1637071860000,"endTime":1637071910000,"contentList":[{"phaseId":"1","contentId":"1","startTime":1637071860500,` +
		`"endTime":1637071865100,"dialogueType":"NORMAL","dialogueRole":"VirtualAgent","sentenceMessage":"Good afternoon"}]}]`,
	CDRBotParty: `"creationTime":1637071910160,"referenceID":0,"callID":"b91d0c7e55a0463f8f0b7de3c2a91f08","partyId":"42c7fb0d9e1c4b5f8c0a6a1b3d7e9f10",` +
		`"callType":3,"agentRole":5,"phoneType":4,"agentUUID":"","agentID":"","agentName":"","agentDN":"","DNIS":"","gatewayNumber":"01088885678",` +
		`"startTime":1637071860000,"alertTime":1637071860000,"answerTime":1637071860000,"bridgeTime":1637071860000,"endTime":1637071910000,` +
		`"alertDuration":0,"duration":50,"callResult":3,"customerRepliesToVirtualAgentCount":4,"hangupDisposition":3,"feeSeconds":50,"feeMinutes":1,` +
		`"belongAgentFlag":false,"intentTagClassify":"A","intentTagName":"interested"`,
	AgentStatus: `"msgType":"agent_working_status_changed_successfully","creationTime":1637068264215,` +
		`"agentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","agentID":"1001","agentName":"Tom","loginStatus":1,"notReadyStatus":0,"workStatus":7,` +
		`"startTime":1637068264200,"callID":"6bf3cbb1ade54dcd9bf2a4f9fa0b2c11","callType":"2","partyId":"8af8e51f2a7d4f0d9d34b4b5b8c1a7e2","dialType":1`,

	CallCreated:             `"creationTime":1637068250000,` + sampleCall + `,"partyID":"","thisDN":"","ANI":"13911110001","DNIS":"01088881234"`,
	CallDeleted:             `"creationTime":1637068408100,` + sampleCall + `,"partyID":"","thisDN":"","hangupDisposition":3,"hangupCause":"NORMAL_CLEARING"`,
	CallRinging:             `"creationTime":1637068256419,` + sampleAgent + `,"thisQueue":"q-service"`,
	CallDialing:             `"creationTime":1637068250100,` + sampleCall + `,"partyID":"0d6a7c5e1f3b4e2c9b8a7d6e5f4c3b2a","partyRole":"Customer","ANI":"13911110001","DNIS":"01088881234","thisDN":"13911110001","thisDNRole":"Origination","otherDN":"01088881234","otherDNRole":"Destination"`,
	CallEstablished:         `"creationTime":1637068264200,` + sampleAgent,
	CallReleased:            `"creationTime":1637068408000,` + sampleAgent + `,"hangupDisposition":3,"hangupCause":"NORMAL_CLEARING","callResult":3`,
	CallHeld:                `"creationTime":1637068300500,` + sampleAgent,
	CallRetrieved:           `"creationTime":1637068321700,` + sampleAgent,
	CallAttachedDataChanged: `"creationTime":1637068290000,` + sampleCall + `,"partyID":"","changedKeys":["ticket"]`,
	CallDTMFSent:            `"creationTime":1637068254000,` + sampleCall + `,"partyID":"0d6a7c5e1f3b4e2c9b8a7d6e5f4c3b2a","partyRole":"Customer","thisDN":"13911110001","thisDNRole":"Origination","dtmfDigits":"2"`,
	CallPartyAdded:          `"creationTime":1637068330000,` + sampleThird + `,"thirdDNRole":"NewParty","dialType":6`,
	CallPartyDeleted:        `"creationTime":1637068371000,` + sampleThird + `,"thirdDNRole":"DeletedParty"`,
	CallPartyChanged:        `"creationTime":1637068340000,` + sampleThird + `,"thirdDNRole":"AddedBy"`,
	CallPartyError:          `"creationTime":1637068335000,` + sampleAgent + `,"errorCode":3001,"errorMessage":"AgentIsInBargedInScene"`,
	CallAgentError: `"creationTime":1637068345000,"referenceID":17,"agentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","agentID":"1001","thisDN":"1001",` +
		`"thisQueues":["q-service"],"errorCode":3101,"errorMessage":"AgentIsInDailingScene"`,

	QueueEntered: `"contactId":"6bf3cbb1ade54dcd9bf2a4f9fa0b2c11","media":"call","queueId":"q-service","queueName":"Service","enteredAt":1637068251000,` +
		`"departmentId":"d-service","groupId":"g-1","strategy":"longest_idle","gatewayNumber":"01088881234","customerNumber":"13911110001","callType":2`,
	QueueLeft: `"contactId":"6bf3cbb1ade54dcd9bf2a4f9fa0b2c11","media":"call","queueId":"q-service","queueName":"Service","leftAt":1637068264200,` +
		`"outcome":"answered","agentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","callType":2`,

	ChatRequested:   `"chatId":"chat-7d1f2c","at":1637068500000,"visitorId":"v-5512","contactIdentityId":"ci-88","departmentId":"d-service","queueId":"q-chat","invited":false`,
	ChatAccepted:    `"chatId":"chat-7d1f2c","at":1637068512000,"handledBy":"agent","agentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201"`,
	ChatTransferred: `"chatId":"chat-7d1f2c","at":1637068600000,"agentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","toDepartmentId":"d-billing"`,
	ChatMissed:      `"chatId":"chat-7d1f2c","at":1637068507000,"agentUUID":"0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e"`,
	ChatEnded:       `"chatId":"chat-7d1f2c","at":1637068900000,"reason":"closed","agentReplies":6,"agentResponseMs":84000`,
	ChatRated:       `"chatId":"chat-7d1f2c","at":1637068930000,"score":5`,

	VisitorArrived: `"visitorId":"v-5512","at":1637068440000,"contactIdentityId":"ci-88"`,
	VisitorLeft:    `"visitorId":"v-5512","at":1637068960000,"contactIdentityId":"ci-88"`,

	SubscriptionPaused:  `"creationTime":1637068700000,"subscription":"017d2a31-4c90-7b1e-8f6a-2f4f5b0c7d11","reason":"gone"`,
	SubscriptionResumed: `"creationTime":1637069700000,"subscription":"017d2a31-4c90-7b1e-8f6a-2f4f5b0c7d11","by":"admin"`,
	DeliveryExhausted: `"creationTime":1637070700000,"subscription":"017d2a31-4c90-7b1e-8f6a-2f4f5b0c7d11","delivery":"dlv_00000000000000000000000001",` +
		`"type":"call.ringing","attempts":6`,
	Test:         `"creationTime":1637068256419,"message":"A test push of Hookline"`,
	LimitWarning: `"creationTime":1637068800000,"limit":"eventBytes","used":858993459,"most":1073741824`,
	SourceRejecting: `"creationTime":1637068900000,"source":"src_0123456789abcdef0123","sourceName":"PBX","inputs":3,` +
		`"reason":"row 2: /data/callID: callID is missing"`,
	SourceSilent: `"creationTime":1637068900000,"source":"src_0123456789abcdef0123","sourceName":"PBX","since":1637068000000`,
}
