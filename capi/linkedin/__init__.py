"""LinkedIn's wire format as plain Python: what goes out, how it travels, and what an answer means.

    identity   an e-mail address becomes the hash that stands for it
    payload    a conversion becomes JSON
    client     one request, one answer, never an exception for what the network does
    answers    an answer becomes a decision
    rules      which conversion rules an ad account has, where the token may read them
    versions   which API versions live, and until when

No database and no models here: the pipeline hands in values and gets values back.
"""
