// Writes what the Go client has in each of its request headers, and the frames that it makes of them: one JSON line a frame
// in both serialisations. Run by test/contract/record-go.ts inside a copy of the client's module: nobody else may import these
// packages.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/apache/rocketmq-client-go/v2/internal"
	"github.com/apache/rocketmq-client-go/v2/internal/remote"
)

var headers = []struct {
	code   int16
	header func() remote.CustomHeader
}{
	{internal.ReqSendMessage, func() remote.CustomHeader { return &internal.SendMessageRequestHeader{} }},
	{internal.ReqSendReplyMessage, func() remote.CustomHeader { return &internal.SendMessageRequestHeader{} }},
	{int16(310), sendMessageV2}, // the client has no name for it
	{internal.ReqSendBatchMessage, sendMessageV2},
	{internal.ReqSendReplyMessageV2, sendMessageV2},
	{internal.ReqENDTransaction, func() remote.CustomHeader { return &internal.EndTransactionRequestHeader{} }},
	{internal.ReqCheckTransactionState, func() remote.CustomHeader { return &internal.CheckTransactionStateRequestHeader{} }},
	{internal.ReqConsumerSendMsgBack, func() remote.CustomHeader { return &internal.ConsumerSendMsgBackRequestHeader{} }},
	{internal.ReqPullMessage, func() remote.CustomHeader { return &internal.PullMessageRequestHeader{} }},
	{internal.ReqGetConsumerListByGroup, func() remote.CustomHeader { return &internal.GetConsumerListRequestHeader{} }},
	{internal.ReqGetMaxOffset, func() remote.CustomHeader { return &internal.GetMaxOffsetRequestHeader{} }},
	{internal.ReqQueryConsumerOffset, func() remote.CustomHeader { return &internal.QueryConsumerOffsetRequestHeader{} }},
	{internal.ReqSearchOffsetByTimestamp, func() remote.CustomHeader { return &internal.SearchOffsetRequestHeader{} }},
	{internal.ReqUpdateConsumerOffset, func() remote.CustomHeader { return &internal.UpdateConsumerOffsetRequestHeader{} }},
	{internal.ReqGetRouteInfoByTopic, func() remote.CustomHeader { return &internal.GetRouteInfoRequestHeader{} }},
	{internal.ReqGetConsumerRunningInfo, func() remote.CustomHeader { return &internal.GetConsumerRunningInfoHeader{} }},
	{internal.ReqQueryMessage, func() remote.CustomHeader { return &internal.QueryMessageRequestHeader{} }},
	{internal.ReqViewMessageByID, func() remote.CustomHeader { return &internal.ViewMessageRequestHeader{} }},
	{internal.ReqCreateTopic, func() remote.CustomHeader { return &internal.CreateTopicRequestHeader{} }},
	{internal.ReqGetAllTopicListFromNameServer, func() remote.CustomHeader { return &internal.TopicListRequestHeader{} }},
	{internal.ReqDeleteTopicInBroker, func() remote.CustomHeader { return &internal.DeleteTopicRequestHeader{} }},
	{internal.ReqDeleteTopicInNameSrv, func() remote.CustomHeader { return &internal.DeleteTopicRequestHeader{} }},
	{internal.ReqResetConsumerOffset, func() remote.CustomHeader { return &internal.ResetOffsetHeader{} }},
	{internal.ReqConsumeMessageDirectly, func() remote.CustomHeader { return &internal.ConsumeMessageDirectlyHeader{} }},
	{internal.ReqGetConsumerStatsFromClient, func() remote.CustomHeader { return &internal.GetConsumerStatusRequestHeader{} }},
	{internal.ReqPushReplyMessageToClient, func() remote.CustomHeader { return &internal.ReplyMessageRequestHeader{} }},
}

// Requests of which the client sends the code alone.
var bare = []int16{internal.ReqGetAllSubscriptionGroupConfig, internal.ReqGetAllTopicListFromNameServer}

func sendMessageV2() remote.CustomHeader {
	return &internal.SendMessageRequestV2Header{SendMessageRequestHeader: &internal.SendMessageRequestHeader{}}
}

type field struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

type vector struct {
	Header   string  `json:"header,omitempty"`
	Code     int16   `json:"code"`
	Flag     int32   `json:"flag"`
	Remark   string  `json:"remark"`
	Body     string  `json:"body"` // hex
	Fields   []field `json:"fields"`
	Json     string  `json:"json"` // hex, as the next
	Rocketmq string  `json:"rocketmq"`
}

func main() {
	for _, row := range headers {
		for _, isFresh := range []bool{false, true} { // a fresh header is written too: the client leaves out no field
			header := row.header()
			value := reflect.ValueOf(header).Elem()
			var body []byte
			if !isFresh {
				fill(value)
				body = []byte("body \x00\xff")
			}
			print(vector{Header: value.Type().Name(), Fields: fieldsOf(value)}, remote.NewRemotingCommand(row.code, header, body))
		}
	}
	for _, code := range bare {
		print(vector{Fields: []field{}}, remote.NewRemotingCommand(code, nil, nil))
	}
	answer := remote.NewRemotingCommand(internal.ResError, nil, []byte("{}"))
	answer.Flag |= remote.ResponseType
	answer.Remark = text("remark")
	print(vector{Fields: []field{}}, answer)
}

func print(line vector, command *remote.RemotingCommand) {
	command.Opaque = math.MaxInt32
	line.Code, line.Flag, line.Remark, line.Body = command.Code, command.Flag, command.Remark, hex.EncodeToString(command.Body)
	line.Json = hex.EncodeToString(remote.Frame(command, remote.JsonCodecs))
	line.Rocketmq = hex.EncodeToString(remote.Frame(command, remote.RocketMQCodecs))
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		panic(err)
	}
}

func text(name string) string {
	return name + " ü 😀 \"<&>\" \\ \n \x01\x02 \u2028"
}

// fill gives each field a value of its own, also those that only the client's Decode can set.
func fill(header reflect.Value) {
	for at := 0; at < header.NumField(); at++ {
		declared := header.Type().Field(at)
		value := header.Field(at)
		if declared.Anonymous {
			fill(value.Elem())
			continue
		}
		value = reflect.NewAt(value.Type(), unsafe.Pointer(value.UnsafeAddr())).Elem()
		switch {
		case value.Type() == reflect.TypeOf(time.Duration(0)):
			value.SetInt(int64(30*time.Second) + int64(at)*int64(time.Millisecond))
		case declared.Name == "SubVersion": // nanoseconds since 1970, in the client's own use
			value.SetInt(1_700_000_000_123_456_789)
		case declared.Name == "EndTimestamp":
			value.SetInt(math.MaxInt64)
		case value.Kind() == reflect.Int64:
			value.SetInt(1<<53 - 1 - int64(at))
		case value.Kind() == reflect.Int, value.Kind() == reflect.Int32:
			value.SetInt(math.MinInt32 + int64(at))
		case value.Kind() == reflect.Bool:
			value.SetBool(true)
		case value.Kind() == reflect.String:
			value.SetString(text(strings.ToLower(declared.Name)))
		default:
			panic(fmt.Sprint("a field of an unknown type: ", declared))
		}
	}
}

func fieldsOf(header reflect.Value) []field {
	fields := []field{}
	for at := 0; at < header.NumField(); at++ {
		declared := header.Type().Field(at)
		if declared.Anonymous {
			fields = append(fields, fieldsOf(header.Field(at).Elem())...)
			continue
		}
		fields = append(fields, field{declared.Name, declared.Type.String(), valueOf(header.Field(at))})
	}
	return fields
}

func valueOf(value reflect.Value) string {
	switch value.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(value.Bool())
	case reflect.String:
		return value.String()
	default:
		return strconv.FormatInt(value.Int(), 10)
	}
}
