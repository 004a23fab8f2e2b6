package remote

import "bytes"

// Frame is what WriteTo writes in a serialisation. The client has both, and no way to choose but a variable of this package.
func Frame(command *RemotingCommand, codec byte) []byte {
	codecType = codec
	var frame bytes.Buffer
	if err := command.WriteTo(&frame); err != nil {
		panic(err)
	}
	return frame.Bytes()
}
