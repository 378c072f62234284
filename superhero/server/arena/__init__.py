"""The Arena: a web page of the server that shows fights as they happen, and the pipeline beside them."""
