# What a fake must not forget when it is killed: a file to which each change is appended before
# it is answered. A record that the killed program did not finish does not count.
import os,pickle
class Journal:
    def __init__(s,path):
        s.records=[]
        if path is None: s.file=None;return
        s.file=open(path,"a+b",buffering=0);s.file.seek(0);whole=0
        with open(path,"rb") as f:
            while True:
                try: s.records.append(pickle.load(f))
                except (EOFError,pickle.UnpicklingError): break
                whole=f.tell()
        s.file.truncate(whole)
    def add(s,record):
        if s.file: s.file.write(pickle.dumps(record))
