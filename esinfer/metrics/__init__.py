"""What esinfer counts and measures, and how Prometheus reads it.

``board`` holds the numbers of all workers, ``meters`` says what they mean and
writes them, ``timing`` follows one request, ``measured`` watches upstreams and
rate limits, ``exposition`` prints.
"""
