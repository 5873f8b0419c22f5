"""LinkedIn's Conversions API in plain Python: what is sent, how it is sent, and what an answer means.

    identity   hashes an e-mail address
    payload    turns a conversion into JSON
    client     sends one request and returns one answer; it raises nothing, whatever the network does
    transport  the connections of the client, with a time limit for the whole exchange
    parsing    reads the body and headers of an answer
    answers    turns an answer into a decision
    rules      reads the conversion rules of an ad account, if the token may
    versions   the API versions, and when LinkedIn switches them off

No database and no models: delivery passes values in and gets values back.
"""
